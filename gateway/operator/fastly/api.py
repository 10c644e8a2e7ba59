"""Requests to Fastly's API: https://www.fastly.com/documentation/reference/api/

Rules: the token goes into one header of requests to one host, and into nothing else: no redirect is
followed, and nothing that holds it is part of an error. Every request here may be made twice with
the same result, so what can pass is tried again a few times. What then fails is a StoreError that
says what to do.
"""

import email.utils
import re
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.operator.console import warn
from gateway.operator.fields import is_loopback
from gateway.operator.policystore import StoreError

TOKEN = "FASTLY_API_TOKEN"  # noqa: S105 - its name; the same as of Fastly's own CLI
ENDPOINT = "FASTLY_API_ENDPOINT"  # as above
DEFAULT_ENDPOINT = "https://api.fastly.com"

TRIES = 4
# The first pause, doubled each time: one write a second to a key is what the KV Store bears.
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 20.0
# A longer one is told: it would look as if the program hung.
SILENT_PAUSE_SECONDS = 1.0
# A value is a megabyte at most; stamina's and the OpenAI SDK's defaults are of this order.
TIMEOUT = httpx.Timeout(30, connect=10)
_LONGEST_DETAIL = 200


class TokenRefused(StoreError):
    """Fastly does not know the token, or it may not do this."""


class Meta(BaseModel):
    next_cursor: str | None = None


class Page[T](BaseModel):
    """What the API lists, in parts; each part names the next by a cursor."""

    data: list[T]
    meta: Meta = Meta()


class FastlyApi:
    """One connection pool, one token. `sleep` takes seconds; `say` a line on what is waited for."""

    def __init__(
        self,
        token: str,
        endpoint: str,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._sleep = sleep
        self._say = say
        self._auth = _Token(token)
        self._client = httpx.Client(
            base_url=endpoint,
            auth=self._auth,
            timeout=TIMEOUT,
            headers={"accept": "application/json, */*", "user-agent": "tiergate"},
            # A proxy of the environment would be shown the token where the way is not encrypted.
            trust_env=endpoint.startswith("https://"),
        )
        # Stores have no end of their own: the connection's is when nobody has this any more.
        weakref.finalize(self, self._client.close)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "FastlyApi":
        """With the token and the address that the environment has. Raises StoreError."""
        token = environment.get(TOKEN, "").strip()
        if not token:
            raise StoreError(
                f"{TOKEN} is not set: put an API token with the scope global into it"
                " (https://manage.fastly.com/account/personal/tokens)"
            )
        if not re.fullmatch(r"[!-~]+", token):
            raise StoreError(f"{TOKEN} is no API token: it has characters that none has")
        endpoint = environment.get(ENDPOINT, "").strip().rstrip("/") or DEFAULT_ENDPOINT
        if not _may_have_token(endpoint):
            raise StoreError(f"{ENDPOINT} must be an address like {DEFAULT_ENDPOINT}, with https")
        return cls(token, endpoint, say=warn)

    def read[T](
        self,
        type_: TypeAdapter[T],
        path: str,
        what: str,
        *,
        params: Mapping[str, str] | None = None,
        absent: tuple[int, ...] = (404,),
    ) -> T | None:
        """A JSON answer, or None where there is none. `what` is read, for errors."""
        answer = self.send("GET", path, f"read {what}", params=params, absent=absent)
        if answer is None:
            return None
        try:
            return type_.validate_json(answer.content)
        except ValidationError:
            problem = "Fastly answers something else than its documentation says"
            raise StoreError(f"cannot read {what}: {problem}") from None

    def pages[T](
        self,
        type_: TypeAdapter[Page[T]],
        path: str,
        what: str,
        params: Mapping[str, str] | None = None,
    ) -> Iterator[T]:
        """Everything of a list; nothing where there is no such list."""
        cursors: set[str] = set()
        query = dict(params or {})
        while page := self.read(type_, path, what, params=query):
            yield from page.data
            cursor = page.meta.next_cursor
            if not cursor:
                return
            if cursor in cursors:
                raise StoreError(f"cannot read {what}: Fastly's list has no end")
            cursors.add(cursor)
            query["cursor"] = cursor

    def send(
        self,
        method: str,
        path: str,
        what: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        absent: tuple[int, ...] = (404,),
    ) -> httpx.Response | None:
        """A successful answer, or None for a status in `absent`. Raises StoreError: cannot `what`.

        `path` has its parts encoded: see `path_of`.
        """
        request = self._client.build_request(
            method, path, params=params, headers=headers, content=content
        )
        turn = 1
        while True:
            answer = self._attempt(request)
            if not isinstance(answer, Failure):
                return answer
            if answer.status in absent:
                return None
            pause = PAUSE_SECONDS * 2 ** (turn - 1) if answer.after is None else answer.after
            if not answer.may_pass:
                kind = TokenRefused if answer.status in {401, 403} else StoreError
                raise kind(f"cannot {what}: {answer.text}")
            if turn == TRIES or pause > LONGEST_PAUSE_SECONDS:
                raise StoreError(f"cannot {what}: {answer.text}; {_gave_up(turn, pause)}")
            if pause > SILENT_PAUSE_SECONDS:
                self._say(f"{answer.text}: waiting {pause:.0f} s")
            self._sleep(pause)
            turn += 1

    def _attempt(self, request: httpx.Request) -> "httpx.Response | Failure":
        try:
            answer = self._client.send(request)
        except httpx.RequestError as error:
            return Failure(f"{request.url.host} does not answer ({type(error).__name__})")
        return answer if answer.is_success else _failure(answer, self._auth.hidden)


class _Token(httpx.Auth):
    """Puts the token in when a request leaves, so that no object prints it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["fastly-key"] = self._token
        try:
            yield request
        finally:
            del request.headers["fastly-key"]

    def hidden(self, text: str) -> str:
        """The text without the token, which a server may have repeated."""
        return text.replace(self._token, "[token]")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed. It may be made again after so many seconds, if the API says so."""

    text: str
    status: int | None = None
    may_pass: bool = True
    after: float | None = None


def _may_have_token(endpoint: str) -> bool:
    """Whether it is an address with TLS, or one of this machine."""
    try:
        parts = urlsplit(endpoint)
        is_address = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
    return is_address and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(endpoint))
    )


def path_of(*parts: str) -> str:
    """A path of these parts, each of them encoded whole: a key's slashes too."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _failure(answer: httpx.Response, hidden: Callable[[str], str]) -> Failure:
    status = answer.status_code
    if status == 401:
        return Failure(f"Fastly does not know the token in {TOKEN} (401)", status, may_pass=False)
    text = f"Fastly answers {status}{hidden(_detail(answer))}"
    if status == 403:
        text += (
            f". The token in {TOKEN} needs the scope global, the role engineer and, if it is"
            " limited to services, this one; the account needs the product"
        )
    if status == 429 or status >= 500:
        return Failure(text, status, after=_retry_after(answer))
    return Failure(text, status, may_pass=False)


def _gave_up(turn: int, pause: float) -> str:
    if pause > LONGEST_PAUSE_SECONDS:
        return f"it asks for a pause of {pause:.0f} s: try again after it"
    return f"tried {turn} times: try again later (https://www.fastlystatus.com)"


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait: RFC 9110's header, or when the hour of Fastly's rate limit is over.

    https://www.fastly.com/documentation/reference/api/#rate-limiting
    """
    given = answer.headers.get("retry-after", "")
    if given.isdecimal():
        return float(given)
    if given:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
        except ValueError:
            return None
    reset = answer.headers.get("fastly-ratelimit-reset", "")
    if answer.headers.get("fastly-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - time.time())
    return None


class _Problem(BaseModel):
    """The API's errors: its own shape, and that of RFC 9457."""

    msg: str = ""
    title: str = ""
    detail: str = ""


def _detail(answer: httpx.Response) -> str:
    """What the API says of the error, if it says it in one of its shapes: `: ...`."""
    try:
        problem = _Problem.model_validate_json(answer.content)
    except ValidationError:
        return ""
    words = [text for text in (problem.msg or problem.title, problem.detail) if text]
    line = "".join(c for c in ": ".join(words) if c.isprintable())[:_LONGEST_DETAIL]
    return f" ({line})" if line else ""
