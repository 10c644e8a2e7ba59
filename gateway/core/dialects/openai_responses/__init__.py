"""OpenAI Responses: `POST /v1/responses`.

Facts: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming; the
types of the official Python SDK (https://github.com/openai/openai-python, `types/responses`) for
what a member must be.
"""

from gateway.core.dialect import Dialect
from gateway.core.dialects.openai_responses.answers import read_answer, write_answer
from gateway.core.dialects.openai_responses.errors import error_body, read_error
from gateway.core.dialects.openai_responses.kept import find_kept
from gateway.core.dialects.openai_responses.marks import NAME
from gateway.core.dialects.openai_responses.parse import parse_request
from gateway.core.dialects.openai_responses.passing import (
    ResponsesWatcher,
    pass_request,
    peek_answer,
)
from gateway.core.dialects.openai_responses.requests_in import read_conversation
from gateway.core.dialects.openai_responses.requests_out import CARRIES, write_request
from gateway.core.dialects.openai_responses.stream_in import ResponsesReader
from gateway.core.dialects.openai_responses.stream_out import ResponsesWriter
from gateway.core.features import Feature

DIALECT = Dialect(
    name=NAME,
    carries=CARRIES,
    asks=frozenset(Feature)
    - {
        Feature.NAMES,
        Feature.TOOL_ERRORS,
        Feature.STOP,
        Feature.TOP_K,
        Feature.PENALTIES,
        Feature.SEED,
        Feature.N,
        Feature.BUDGET,
        Feature.CITATIONS,
    },
    id_prefix="resp_",
    parse_request=parse_request,
    find_kept=find_kept,
    read_conversation=read_conversation,
    write_answer=write_answer,
    writer=ResponsesWriter,
    error_body=error_body,
    write_request=write_request,
    read_answer=read_answer,
    reader=ResponsesReader,
    read_error=read_error,
    pass_request=pass_request,
    peek_answer=peek_answer,
    watcher=ResponsesWatcher,
)
