"""A stream for a client: events in Anthropic's order, each under its name.

Facts: https://platform.claude.com/docs/en/build-with-claude/streaming, and what the SDKs' streaming
helpers insist on (https://github.com/anthropics/anthropic-sdk-python, `lib/streaming/_messages.py`;
the TypeScript one takes the last block for the one that stops): an event without its name is
skipped; blocks count from 0 without a gap, and each stops before the next starts; a signature comes
once, whole, before its block stops; counts and the reason of the end are in the one `message_delta`
before `message_stop`.

So of parts side by side one is written, and the others' events are held until it ends: a tool call
is as good as ended once its arguments are whole, since nothing but blanks can follow them. So
nothing is held, unless a provider really sends two calls in turns, or one without arguments before
another. Logprobs have no place here.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import assert_never

from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Failed,
    Finished,
    Logprobs,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.chat import ChatRequest, Usage
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.anthropic_messages import proofs
from gateway.core.dialects.anthropic_messages.answers import frame
from gateway.core.dialects.anthropic_messages.arguments import Fragments
from gateway.core.dialects.anthropic_messages.citations import write_citation
from gateway.core.dialects.anthropic_messages.errors import error_event
from gateway.core.dialects.anthropic_messages.usage import NONE_YET, write_usage
from gateway.core.dialects.anthropic_messages.words import write_finish
from gateway.core.errors import TiergateError

type _PartEvent = PartStarted | PartDelta | PartSigned | Cited | PartEnded

_DELTAS = {
    Text: ("text_delta", "text"),
    Refusal: ("text_delta", "text"),
    Reasoning: ("thinking_delta", "thinking"),
    ToolCall: ("input_json_delta", "partial_json"),
}


@dataclass(slots=True)
class _Open:
    """The part that is being written. `has_block`: not before it is known what kind of block it
    becomes. `signature`: as it has come so far."""

    part: int
    kind: Text | Reasoning | Refusal | ToolCall
    has_block: bool = False
    signature: str = ""
    fragments: Fragments = field(default_factory=Fragments)


class MessagesWriter:
    """Writes one answer, the first if there are several: this dialect's clients ask for no more."""

    def __init__(self, chat: ChatRequest | None = None) -> None:  # noqa: ARG002 - as Dialect says
        self._started: Started | None = None  # and not yet written: its usage may follow at once
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._index = -1  # of the last block
        self._open: _Open | None = None
        self._held: dict[int, list[_PartEvent]] = {}  # the events of each part that must wait
        self._next: deque[_PartEvent] = deque()
        self._has_calls = self._is_refusal = False

    def write(self, event: ChatEvent) -> bytes:
        match event:
            case Started():
                self._started = event
            case Used():
                self._usage = event.usage
            case Done():
                return self._begin() + self._end()
            case Failed() | Logprobs():
                pass
            case _ if event.choice != 0:
                pass
            case Finished():
                self._finished = event
            case _:
                return self._begin() + self._take(event)
        return b""

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error)

    def _begin(self) -> bytes:
        """The first event. Its counts are those so far; `message_delta` has the ones that hold."""
        if self._started is None:
            return b""
        message = frame(self._started.id, self._started.model)
        message["usage"] = write_usage(self._usage) if self._usage else NONE_YET
        self._started = None
        return _event("message_start", {"message": message})

    def _end(self) -> bytes:
        written = b""
        while self._open:
            written += self._close(self._open) + self._drain()
        finished = self._finished
        reason = write_finish(
            finished.finish if finished else None,
            finished.stopped_by if finished else None,
            has_calls=self._has_calls,
            is_refusal=self._is_refusal,
        )
        delta = {
            "stop_reason": reason,
            "stop_sequence": finished.stopped_by if finished else None,
        }
        usage = write_usage(self._usage)
        written += _event("message_delta", {"delta": delta, "usage": usage})
        return written + _event("message_stop", {})

    def _take(self, event: _PartEvent) -> bytes:
        self._next.append(event)
        return self._drain()

    def _drain(self) -> bytes:
        written: list[bytes] = []
        while self._next:
            written.append(self._step(self._next.popleft()))
        return b"".join(written)

    def _step(self, event: _PartEvent) -> bytes:
        now = self._open
        if isinstance(event, PartStarted):
            if now is None:
                return self._start(event)
            if now.fragments.is_whole:
                return self._close(now) + self._start(event)
            self._held[event.part] = [event]
        elif now is not None and event.part == now.part:
            return self._grow(now, event)
        elif event.part in self._held:
            self._held[event.part].append(event)
        return b""  # the rest is blanks after a call's arguments, and its end

    def _start(self, event: PartStarted) -> bytes:
        kind = event.kind
        self._open = now = _Open(event.part, kind)
        match kind:
            case Text():
                cited = b"".join([self._cite(now, citation) for citation in kind.citations])
                return cited + self._more(now, kind.text)
            case Refusal():
                return self._more(now, kind.text)
            case ToolCall():
                self._has_calls = True
                kept = proofs.call_block(kind, kind.signature)
                written = self._whole_block(kept) if kept else b""
                call: Json = {"type": "tool_use", "id": kind.id, "name": kind.name, "input": {}}
                return written + self._block(now, call) + self._more(now, kind.arguments)
            case Reasoning():
                now.signature = kind.signature or ""
                if kind.redacted is not None and not kind.text:
                    return b""  # whether text comes with it, its first event will tell
                return self._begun(now) + self._more(now, kind.text)
            case _:
                assert_never(kind)

    def _grow(self, now: _Open, event: PartDelta | PartSigned | Cited | PartEnded) -> bytes:
        match event:
            case PartDelta():
                written = self._more(now, event.text)
                if self._held and now.fragments.is_whole:
                    written += self._close(now)
                return written
            case PartSigned():
                now.signature += event.signature
                return b""
            case Cited():
                return self._cite(now, event.citation)
            case PartEnded():
                return self._close(now)

    def _close(self, now: _Open) -> bytes:
        """The open block stops, and what was held for it is written."""
        kind = now.kind
        written = b""
        if isinstance(kind, Reasoning):
            if now.has_block:
                signature = proofs.thinking_signature(kind, now.signature)
                if signature:
                    written += self._delta({"type": "signature_delta", "signature": signature})
            else:
                block: Json = {"type": proofs.REDACTED, "data": proofs.redacted_data(kind)}
                written += self._block(now, block)
        if now.has_block:
            written += _event("content_block_stop", {"index": self._index})
        if isinstance(kind, ToolCall) and now.signature:
            kept = proofs.call_block(kind, now.signature)
            written += self._whole_block(kept) if kept else b""
        self._open = None
        if self._held:
            self._next.extend(self._held.pop(next(iter(self._held))))
        return written

    def _begun(self, now: _Open) -> bytes:
        """The start of a block that grows. Text starts with its first: the API refuses an empty one
        when the client returns it."""
        if now.has_block:
            return b""
        if isinstance(now.kind, Reasoning):
            return self._block(now, {"type": proofs.THINKING, "thinking": "", "signature": ""})
        return self._block(now, {"type": "text", "text": ""})

    def _block(self, now: _Open, block: Json) -> bytes:
        now.has_block = True
        self._index += 1
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _whole_block(self, block: Json) -> bytes:
        """A block that has no more to it than its start."""
        self._index += 1
        start = _event("content_block_start", {"index": self._index, "content_block": block})
        return start + _event("content_block_stop", {"index": self._index})

    def _more(self, now: _Open, text: str) -> bytes:
        if not text:
            return b""
        begun = self._begun(now)
        if isinstance(now.kind, ToolCall):
            now.fragments.add(text)
        elif isinstance(now.kind, Refusal):
            self._is_refusal = True
        type_, name = _DELTAS[type(now.kind)]
        # The event of which a stream is made: put together here, it costs half.
        delta = f'{{"type": "{type_}", "{name}": {json.dumps(text)}}}'
        data = f'{{"type": "content_block_delta", "index": {self._index}, "delta": {delta}}}'
        return begun + f"event: content_block_delta\ndata: {data}\n\n".encode()

    def _cite(self, now: _Open, citation: Citation) -> bytes:
        found = write_citation(citation)
        if found is None:
            return b""
        return self._begun(now) + self._delta({"type": "citations_delta", "citation": found})

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(name: str, members: Json) -> bytes:
    data = json.dumps({"type": name, **members})
    return f"event: {name}\ndata: {data}\n\n".encode()
