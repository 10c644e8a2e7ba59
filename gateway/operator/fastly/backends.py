"""The static backends that a policy would need where an account has no dynamic ones.

The gateway looks for a backend whose name is the provider's authority, just as its base_url has it.
A static backend has its own timeouts (by default 15 s to the first byte), which no request can
make longer: https://www.fastly.com/documentation/reference/api/services/backend/
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.core.policy import Policy
from gateway.operator.fastly.account import Backend
from gateway.operator.fields import is_loopback

# What a request may run: https://docs.fastly.com/products/compute-resource-limits
LONGEST_RUN_MS = 120_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A backend: `name` is the authority, `is_here` whether that is this machine itself.

    Nothing waits longer than `first_byte_ms` and `between_bytes_ms`.
    """

    provider: str
    name: str
    host: str
    port: int
    is_tls: bool
    is_here: bool
    first_byte_ms: int
    between_bytes_ms: int

    @property
    def place(self) -> str:
        return f"{self.host}, port {self.port}, {'with' if self.is_tls else 'without'} TLS"

    @property
    def options(self) -> str:
        """Of `fastly service backend create` or `update`."""
        tls = f" --use-ssl --ssl-sni-hostname {self.host} --ssl-cert-hostname {self.host}"
        return (
            f"--name {self.name} --address {self.host} --port {self.port}"
            f" --override-host {self.name}{tls if self.is_tls else ''}"
            f" --first-byte-timeout {self.first_byte_ms}"
            f" --between-bytes-timeout {self.between_bytes_ms}"
        )

    def is_at(self, found: Backend) -> bool:
        """Whether the backend leads to this place, and with TLS where it is wanted."""
        return (found.address, found.port, bool(found.use_ssl)) == (
            self.host,
            self.port,
            self.is_tls,
        )

    def is_as_patient(self, found: Backend) -> bool:
        """Whether the backend waits as long as the policy does."""
        first, between = found.first_byte_timeout, found.between_bytes_timeout
        return (first is None or first >= self.first_byte_ms) and (
            between is None or between >= self.between_bytes_ms
        )


def wanted(policy: Policy) -> list[Wanted]:
    """One for each address of the providers that a target or the classifier uses."""
    used = [target.provider for target in policy.listed.values()]
    if policy.classifier.target:
        used.append(policy.classifier.target.provider)
    return list({item.name: item for item in (_wanted(policy, name) for name in used)}.values())


def _wanted(policy: Policy, provider: str) -> Wanted:
    base_url = policy.providers[provider].base_url
    parts = urlsplit(base_url)
    is_tls = parts.scheme == "https"
    return Wanted(
        provider=provider,
        name=parts.netloc,
        host=parts.hostname or "",
        port=parts.port or (443 if is_tls else 80),
        is_tls=is_tls,
        is_here=is_loopback(base_url),
        # A whole answer may be silent until the request ends.
        first_byte_ms=min(policy.timeouts.total_ms, LONGEST_RUN_MS),
        # A stream may be silent for longer before its first content.
        between_bytes_ms=min(_longest_silence(policy), LONGEST_RUN_MS),
    )


def _longest_silence(policy: Policy) -> int:
    rows = [policy.timeouts, *[tier.timeouts for tier in policy.tiers.values()]]
    return max([max(row.first_content_ms, row.between_bytes_ms) for row in rows])
