"""Who may call: the client's key, and browsers' origins.

Keys are compared in constant time. A page in a browser always sends its `Origin`; one that the
policy does not list is refused even without a key to check, or any web page that a developer opens
could spend their money through a gateway on loopback (as Ollama does with OLLAMA_ORIGINS).
"""

from hmac import compare_digest

from gateway.core.errors import Forbidden, Unauthorized
from gateway.core.http import HeaderPairs, Headers, Request
from gateway.core.policy import Policy
from gateway.ports import Secrets

_ALLOWED_METHODS = "GET, POST, OPTIONS"
_PREFLIGHT_SECONDS = "600"  # Chromium remembers a preflight for two hours at most; a policy changes


def is_client(policy: Policy, headers: Headers, secrets: Secrets) -> bool:
    """Whether the request carries one of the policy's client keys, or the policy asks for none."""
    if policy.client_keys is None:
        return True
    given = _given_key(headers).encode()
    if not given:
        return False
    found = False
    for name in policy.client_keys:
        known = secrets.get(name)
        if known:
            found |= compare_digest(given, known.encode())
    return found


def check_client(policy: Policy, headers: Headers, secrets: Secrets) -> None:
    """Raises Unauthorized, which says what to send and nothing about the keys."""
    if not is_client(policy, headers, secrets):
        error = Unauthorized(
            "The gateway's key is missing or wrong: send it as 'Authorization: Bearer <key>', "
            "x-api-key or x-goog-api-key (api_key in any of the SDKs). Provider keys are not "
            "accepted here."
        )
        error.headers.append(("www-authenticate", "Bearer"))
        raise error


def _given_key(headers: Headers) -> str:
    """The key where the SDKs put it: OpenAI's as a bearer, Anthropic's and Google's in a header of
    their own. A client that sends several means the first that has something in it."""
    scheme, _, bearer = (headers.get("authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and (key := bearer.strip()):
        return key
    return (headers.get("x-api-key") or headers.get("x-goog-api-key") or "").strip()


def check_origin(policy: Policy, headers: Headers) -> None:
    """Raises Forbidden for a browser's page that the policy's [cors] does not list."""
    origin = headers.get("origin")
    if origin is not None and not _is_listed(policy, origin):
        raise Forbidden(
            "This page's origin may not call the gateway: list it under [cors] origins.",
            code="origin_not_allowed",
        )


def cors_headers(policy: Policy | None, request: Request) -> HeaderPairs:
    """What lets a listed page read the answer; nothing for anyone else."""
    origin = request.headers.get("origin")
    if policy is None or origin is None or not _is_listed(policy, origin):
        return []
    pairs = [
        ("access-control-allow-origin", origin),
        ("access-control-expose-headers", "*"),  # there are no cookies here, so it means all
        ("vary", "origin"),
    ]
    if request.method == "OPTIONS":
        asked = request.headers.get("access-control-request-headers")
        pairs.append(("access-control-allow-methods", _ALLOWED_METHODS))
        pairs.append(("access-control-allow-headers", asked or "authorization, content-type"))
        pairs.append(("access-control-max-age", _PREFLIGHT_SECONDS))
    return pairs


def _is_listed(policy: Policy, origin: str) -> bool:
    return origin in policy.cors_origins or "*" in policy.cors_origins
