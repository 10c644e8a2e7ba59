"""A request to a provider: its address, our key, and the few headers that may pass.

Nothing that a client sends chooses the host or the path: both come from the policy.
"""

from gateway.core.dialects import openai_chat
from gateway.core.http import HeaderPairs, Headers, Outgoing
from gateway.core.providers import Provider
from gateway.ports import Secrets

_PASSES = ("accept", "idempotency-key")


def to_provider(
    provider: Provider, body: bytes, client: Headers | None, secrets: Secrets
) -> Outgoing:
    """The request. `client` are the headers of the client it is for, None if it is our own."""
    headers: HeaderPairs = [
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),  # usage and events are read on the way, uncompressed
    ]
    if client is not None:
        passes = (*_PASSES, *provider.passes)
        headers += [pair for pair in client.pairs if pair[0] in passes]
    key = secrets.get(provider.key) if provider.key else None
    if key is not None:
        headers.append((provider.key_header, provider.key_prefix + key))
    scheme, _, rest = provider.base_url.partition("://")
    authority, _, path = rest.partition("/")
    prefix = f"/{path.rstrip('/')}" if path else ""
    return Outgoing(scheme, authority, prefix + openai_chat.PATH, headers, body)
