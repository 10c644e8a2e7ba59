"""A request to a provider: its address, our key, and the few headers that may pass.

Nothing that a client sends chooses the host or the path: both come from the policy.
"""

from collections.abc import Callable
from urllib.parse import quote

from gateway.core.dialect import ProviderRequest
from gateway.core.http import HeaderPairs, Headers, Outgoing
from gateway.core.providers import Provider, Signing
from gateway.ports import Secrets

_PASSES = ("accept", "idempotency-key")


def to_provider(
    provider: Provider,
    model: str,
    request: ProviderRequest,
    client: Headers | None,
    secrets: Secrets,
) -> Outgoing:
    """The request. `client` are the headers of the client it is for, None if it is our own."""
    headers: HeaderPairs = [
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),  # usage and events are read on the way, uncompressed
    ]
    if client is not None:
        passes = (*_PASSES, *provider.passes)
        headers += [pair for pair in client.pairs if pair[0] in passes]
    if provider.headers:
        given = {name for name, _ in headers}
        rows = [row.partition(":") for row in provider.headers]
        headers += [(name, value.strip()) for name, _, value in rows if name not in given]
    scheme, _, rest = provider.base_url.partition("://")
    authority, _, base = rest.partition("/")
    path = f"/{base.rstrip('/')}" if base else ""
    if provider.path:
        path += provider.path.replace("{model}", quote(model, safe=""))
    path += request.path
    if provider.query:
        path += ("&" if "?" in path else "?") + provider.query
    outgoing = Outgoing(scheme, authority, path, headers, request.body)
    return SIGN[provider.signing](outgoing, provider, secrets)


def _with_key(outgoing: Outgoing, provider: Provider, secrets: Secrets) -> Outgoing:
    """The key itself, in a header."""
    key = secrets.get(provider.key) if provider.key else None
    if key is not None:
        outgoing.headers.append((provider.key_header, provider.key_prefix + key))
    return outgoing


# How a request proves whose it is. A provider that wants it signed over (AWS's SigV4) or a token
# made of its key (Google's service accounts) is a step here, and its name in the provider's row.
SIGN: dict[Signing, Callable[[Outgoing, Provider, Secrets], Outgoing]] = {"key": _with_key}
