"""Google Gemini API: `generateContent` and `streamGenerateContent`, version v1beta."""

from gateway.core.dialect import Dialect
from gateway.core.dialects.gemini.answers import read_answer, write_answer
from gateway.core.dialects.gemini.errors import error_body, read_error
from gateway.core.dialects.gemini.kept import find_kept
from gateway.core.dialects.gemini.parse import parse_request
from gateway.core.dialects.gemini.passing import Watcher, pass_request, peek_answer
from gateway.core.dialects.gemini.requests_in import read_conversation
from gateway.core.dialects.gemini.requests_out import CARRIES, write_request
from gateway.core.dialects.gemini.stream_in import Reader
from gateway.core.dialects.gemini.stream_out import Writer
from gateway.core.dialects.gemini.wire import NAME
from gateway.core.features import Feature

DIALECT = Dialect(
    name=NAME,
    carries=CARRIES,
    asks=frozenset(Feature)
    - {
        Feature.DEVELOPER,
        Feature.NAMES,
        Feature.ONE_TOOL,
        Feature.CITATIONS,
        Feature.USER,
        Feature.CACHE_CONTROL,
    },
    id_prefix="",
    parse_request=parse_request,
    find_kept=find_kept,
    read_conversation=read_conversation,
    write_answer=write_answer,
    writer=Writer,
    error_body=error_body,
    write_request=write_request,
    read_answer=read_answer,
    reader=Reader,
    read_error=read_error,
    pass_request=pass_request,
    peek_answer=peek_answer,
    watcher=Watcher,
)
