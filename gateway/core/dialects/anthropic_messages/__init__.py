"""Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages."""

from gateway.core.dialect import Dialect
from gateway.core.dialects.anthropic_messages.answers import read_answer, write_answer
from gateway.core.dialects.anthropic_messages.errors import error_body, read_error
from gateway.core.dialects.anthropic_messages.kept import find_kept
from gateway.core.dialects.anthropic_messages.parse import parse_request
from gateway.core.dialects.anthropic_messages.passing import (
    MessagesWatcher,
    pass_request,
    peek_answer,
)
from gateway.core.dialects.anthropic_messages.requests_in import read_conversation
from gateway.core.dialects.anthropic_messages.requests_out import CARRIES, write_request
from gateway.core.dialects.anthropic_messages.stream_in import MessagesReader
from gateway.core.dialects.anthropic_messages.stream_out import MessagesWriter
from gateway.core.dialects.anthropic_messages.words import NAME
from gateway.core.features import Feature

DIALECT = Dialect(
    name=NAME,
    carries=CARRIES,
    asks=frozenset(Feature)
    - {
        Feature.NAMES,
        Feature.AUDIO,
        Feature.JSON_MODE,
        Feature.PENALTIES,
        Feature.SEED,
        Feature.N,
        Feature.LOGPROBS,
        Feature.METADATA,
    },
    id_prefix="msg_",
    parse_request=parse_request,
    find_kept=find_kept,
    read_conversation=read_conversation,
    write_answer=write_answer,
    writer=MessagesWriter,
    error_body=error_body,
    write_request=write_request,
    read_answer=read_answer,
    reader=MessagesReader,
    read_error=read_error,
    pass_request=pass_request,
    peek_answer=peek_answer,
    watcher=MessagesWatcher,
)
