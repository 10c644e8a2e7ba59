"""OpenAI Chat Completions, and what its many speakers have made of it."""

from gateway.core.dialect import Dialect
from gateway.core.dialects.openai_chat.answers import read_answer, write_answer
from gateway.core.dialects.openai_chat.errors import (
    error_body,
    provider_error,
)
from gateway.core.dialects.openai_chat.kept import find_kept
from gateway.core.dialects.openai_chat.parsing import parse_request
from gateway.core.dialects.openai_chat.passing import (
    Follower,
    pass_request,
    peek_answer,
)
from gateway.core.dialects.openai_chat.requests_in import read_conversation
from gateway.core.dialects.openai_chat.requests_out import CARRIES, write_request
from gateway.core.dialects.openai_chat.stream_in import ChunkReader
from gateway.core.dialects.openai_chat.stream_out import ChunkWriter
from gateway.core.dialects.openai_chat.words import NAME
from gateway.core.features import Feature

DIALECT = Dialect(
    name=NAME,
    carries=CARRIES,
    asks=frozenset(Feature) - {Feature.TOOL_ERRORS, Feature.CITATIONS},
    id_prefix="chatcmpl-",
    parse_request=parse_request,
    find_kept=find_kept,
    read_conversation=read_conversation,
    write_answer=write_answer,
    writer=ChunkWriter,
    error_body=error_body,
    write_request=write_request,
    read_answer=read_answer,
    reader=ChunkReader,
    read_error=provider_error,
    pass_request=pass_request,
    peek_answer=peek_answer,
    watcher=Follower,
)
