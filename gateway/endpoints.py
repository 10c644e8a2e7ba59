"""What a path asks for, and in whose words it is answered.

Facts: an OpenAI client's base URL ends in /v1, an Anthropic client's does not, and adds /v1 itself;
Google's adds /v1beta or /v1 (https://ai.google.dev/gemini-api/docs/api-versions), and says in the
path which model is asked and whether it streams. All of them list models at /v1/models: only
Anthropic's client sends `anthropic-version`, only Google's its key in `x-goog-api-key`.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from gateway.core.dialect import Dialect
from gateway.core.dialects import ANTHROPIC_MESSAGES, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from gateway.core.errors import BadRequest, MethodNotAllowed, NotFound
from gateway.core.http import Headers

EndpointName = Literal[
    "chat", "responses", "messages", "generate_content", "count_tokens", "embeddings", "route",
    "models", "healthz", "readyz",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`model`, `is_stream`: where the path says them."""

    name: EndpointName
    method: Literal["GET", "POST"]
    dialect: Dialect
    model: str | None = None
    is_stream: bool | None = None


ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": Endpoint("chat", "POST", OPENAI_CHAT),
    "/v1/responses": Endpoint("responses", "POST", OPENAI_RESPONSES),
    "/v1/messages": Endpoint("messages", "POST", ANTHROPIC_MESSAGES),
    "/v1/messages/count_tokens": Endpoint("count_tokens", "POST", ANTHROPIC_MESSAGES),
    "/v1/embeddings": Endpoint("embeddings", "POST", OPENAI_CHAT),
    "/v1/route": Endpoint("route", "POST", OPENAI_CHAT),
    "/v1/models": Endpoint("models", "GET", OPENAI_CHAT),
    "/v1beta/models": Endpoint("models", "GET", GEMINI),
    "/healthz": Endpoint("healthz", "GET", OPENAI_CHAT),
    "/readyz": Endpoint("readyz", "GET", OPENAI_CHAT),
}
_MODEL = "/v1/models/"
_BETA_MODEL = "/v1beta/models/"
_GENERATE = ":generateContent"
_STREAM = ":streamGenerateContent"

# Every path as documentation and errors name it, with its method.
METHODS: dict[str, str] = {
    **{path: row.method for path, row in ENDPOINTS.items()},
    **{
        f"{start}{{model}}{ending}": method
        for start in (_MODEL, _BETA_MODEL)
        for ending, method in (("", "GET"), (_GENERATE, "POST"), (_STREAM, "POST"))
    },
}


def dialect_of(path: str, headers: Headers) -> Dialect:
    """In whose words a request is answered, whether or not there is such an endpoint."""
    if path.startswith("/v1beta/"):
        return GEMINI
    if path.startswith("/v1/messages"):
        return ANTHROPIC_MESSAGES
    if path.startswith("/v1/models"):
        if path.endswith((_GENERATE, _STREAM)) or headers.get("x-goog-api-key") is not None:
            return GEMINI
        if headers.get("anthropic-version") is not None:
            return ANTHROPIC_MESSAGES
    return OPENAI_RESPONSES if path == "/v1/responses" else OPENAI_CHAT


def find_endpoint(method: str, path: str, query: str, headers: Headers) -> Endpoint:
    """Which endpoint is meant. Raises NotFound, MethodNotAllowed, BadRequest."""
    endpoint = ENDPOINTS.get(path) or _with_model(path)
    if endpoint is None:
        raise NotFound(
            f"There is no such endpoint. This gateway has {', '.join(METHODS)}; "
            "an OpenAI client's base URL ends in /v1."
        )
    is_head = method == "HEAD" and endpoint.method == "GET"
    if method not in {endpoint.method, "OPTIONS"} and not is_head:
        error = MethodNotAllowed(f"{path} takes {endpoint.method}.")
        methods = "GET, HEAD" if endpoint.method == "GET" else endpoint.method
        error.headers.append(("allow", f"{methods}, OPTIONS"))
        raise error
    if endpoint.is_stream and endpoint.dialect is GEMINI and "alt=sse" not in query.split("&"):
        raise BadRequest(
            "Streams are server-sent events here: add '?alt=sse' to the URL, as Google's SDKs do.",
            code="unsupported_stream_format",
            param="alt",
        )
    if endpoint.name == "models":
        dialect = dialect_of(path, headers)
        return Endpoint("models", "GET", dialect, endpoint.model)
    return endpoint


def _with_model(path: str) -> Endpoint | None:
    """An endpoint whose path ends in a model's name, which may have slashes of its own."""
    for start, dialect in ((_MODEL, OPENAI_CHAT), (_BETA_MODEL, GEMINI)):
        if not path.startswith(start):
            continue
        name = path.removeprefix(start)
        for ending, is_stream in ((_GENERATE, False), (_STREAM, True)):
            if name.endswith(ending) and (model := unquote(name.removesuffix(ending))):
                return Endpoint("generate_content", "POST", GEMINI, model, is_stream)
        # Behind a colon Google's paths say what is to be done; a model's name may have one, too.
        if name and (dialect is OPENAI_CHAT or ":" not in name):
            return Endpoint("models", "GET", dialect, unquote(name))
    return None
