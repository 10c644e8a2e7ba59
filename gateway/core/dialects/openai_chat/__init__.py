"""OpenAI Chat Completions, and what its many speakers have made of it.

What today's flow calls by name stands below beside `DIALECT`; the dialect's own functions of the
same names (`DIALECT.read_answer`, `DIALECT.read_error`) read in full.
"""

from gateway.core.dialect import Dialect
from gateway.core.dialects.openai_chat.answers import read_answer as _read_whole
from gateway.core.dialects.openai_chat.answers import write_answer
from gateway.core.dialects.openai_chat.errors import (
    error_body,
    error_event,
    provider_error,
    read_error,
)
from gateway.core.dialects.openai_chat.parsing import parse_request
from gateway.core.dialects.openai_chat.passing import (
    DONE,
    Follower,
    answer_text,
    encode_request,
    pass_request,
    peek_answer,
    read_event,
)
from gateway.core.dialects.openai_chat.requests_in import read_conversation
from gateway.core.dialects.openai_chat.requests_out import CARRIES, write_request
from gateway.core.dialects.openai_chat.stream_in import ChunkReader
from gateway.core.dialects.openai_chat.stream_out import ChunkWriter
from gateway.core.dialects.openai_chat.words import NAME, PATH

read_answer = peek_answer

DIALECT = Dialect(
    name=NAME,
    carries=CARRIES,
    parse_request=parse_request,
    read_conversation=read_conversation,
    write_answer=write_answer,
    writer=ChunkWriter,
    error_body=error_body,
    error_event=error_event,
    write_request=write_request,
    read_answer=_read_whole,
    reader=ChunkReader,
    read_error=provider_error,
    pass_request=pass_request,
    peek_answer=peek_answer,
    watcher=Follower,
)

__all__ = [
    "DIALECT",
    "DONE",
    "PATH",
    "answer_text",
    "encode_request",
    "error_body",
    "error_event",
    "parse_request",
    "read_answer",
    "read_error",
    "read_event",
]
