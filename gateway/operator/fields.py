"""The values that a policy file is made of, each with its rule.

Rules: no value is converted or clamped; a message says what to write instead. Fields that name
secrets refuse anything that does not look like a name, since it may be the key itself.
Rules that need to know the rest of the file (which tiers and providers there are) read `Names`.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from gateway.core.language import LANGUAGES
from gateway.operator.suggest import did_you_mean

LONGEST_MS = 86_400_000  # A day: no provider keeps a request open longer.

# Headers that name the client's own key or belong to the connection: never passed on.
UNPASSABLE = frozenset(
    (
        "accept",
        "accept-encoding",
        "api-key",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
        "x-goog-api-key",
    )
)


@dataclass(frozen=True, slots=True)
class Names:
    """What the file defines, for the fields that refer to it."""

    providers: frozenset[str]
    tiers: tuple[str, ...]


def broken(rule: str) -> PydanticCustomError:
    """A broken rule; the sentence ends `path: value ...`, so it begins with a verb."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


def _matching(pattern: str, rule: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise broken(rule)
        return value

    return check


def _text(pattern: str, rule: str) -> tuple[AfterValidator, object]:
    extra: dict[str, object] = {"pattern": f"^(?:{pattern})$"}
    return AfterValidator(_matching(pattern, rule)), Field(json_schema_extra=extra)  # type: ignore[arg-type]


def _printable(text: str) -> str:
    if not text.strip():
        raise broken("must say something: the classifier decides by it")
    if not all(character.isprintable() or character == "\n" for character in text):
        raise broken("must be printable text, without control characters")
    return text


_A_NAME = (
    "must be the NAME of a secret, like GROQ_API_KEY: capital letters, digits and _ (64 at most)."
    " Put the key itself in the environment under that name; if what stands here is a real key,"
    " take it out of the file and replace it at its provider"
)
NAME_PATTERN = r"[A-Z][A-Z0-9_]{0,63}"
SecretName = Annotated[str, *_text(NAME_PATTERN, _A_NAME)]
PolicyName = Annotated[
    str,
    *_text(
        r"[A-Za-z0-9._-]{1,64}",
        "must be 1 to 64 letters, digits, '.', '_' or '-', as it goes into a response header",
    ),
]
HeaderName = Annotated[
    str,
    *_text(r"[a-z0-9][a-z0-9-]{0,63}", "must be a header's name in lower case: a-z, 0-9 and -"),
]
HeaderValue = Annotated[
    str, *_text(r"[ -~]{1,200}", "must be printable ASCII, 200 characters at most")
]
RuleName = Annotated[
    str, *_text(r"[A-Za-z0-9_-]{1,64}", "must be 1 to 64 letters, digits, '-' and '_'")
]
Description = Annotated[
    str,
    AfterValidator(_printable),
    Field(min_length=1, max_length=1000),
]
Milliseconds = Annotated[int, Field(ge=1, le=LONGEST_MS)]
Usd = Annotated[float, Field(ge=0, le=1_000_000)]


def _tier_name(value: str, info: ValidationInfo) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", value):
        raise broken("must be 1 to 32 lower-case letters, digits, '-' or '_'")
    if value == "auto":
        raise broken("must be another name: 'auto' is what clients send to have a tier chosen")
    names: Names | None = info.context
    if names and names.tiers.count(value) > 1:
        raise broken(f"must be unique: {names.tiers.count(value)} tiers have this name")
    return value


def _known_tier(value: str, info: ValidationInfo) -> str:
    names: Names | None = info.context
    if names and value not in names.tiers:
        raise broken(f"must be the name of a tier{did_you_mean(value, names.tiers)}")
    return value


def _provider_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", value):
        raise broken("must be named with 1 to 32 lower-case letters, digits, '-' or '_'")
    if value == "tiergate":
        raise broken("must have another name: clients write tiergate/<tier> to choose a tier")
    return value


def _model_id(value: str, info: ValidationInfo) -> str:
    # The model goes into a response header: visible ASCII only.
    provider, slash, model = value.partition("/")
    if not slash or not provider or not re.fullmatch(r"[!-~]{1,200}", model):
        raise broken("must be written provider/model, like groq/llama-3.1-8b-instant")
    names: Names | None = info.context
    if names and provider not in names.providers:
        remedy = did_you_mean(provider, names.providers, else_=f"add [providers.{provider}]")
        raise broken(f"must name a known provider, and {provider!r} is none{remedy}")
    return value


TierName = Annotated[str, AfterValidator(_tier_name)]
ProviderName = Annotated[str, AfterValidator(_provider_name)]
ModelId = Annotated[str, AfterValidator(_model_id)]


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# RFC 3986's characters of a path, without the quote that shells and logs would stumble over.
_PATH = re.compile(r"(?:[A-Za-z0-9/._~!$&()*+,;=:@-]|%[0-9A-Fa-f]{2})*")


def _base_url(value: str) -> str:
    rule = "must be an address like https://api.example.com/v1"
    if not re.fullmatch(r"https?://[!-~]+", value):
        raise broken(rule)
    try:
        parts = urlsplit(value)
        has_port = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise broken(rule) from None
    if "@" in parts.netloc:
        raise broken(f"{rule}, without a user or password: the key goes in as `key`, by name")
    if "?" in value or "#" in value:
        raise broken(f"{rule}, without '?' or '#': endpoint paths are added to its end")
    if not has_port or not parts.hostname or not re.fullmatch(r"[\w.:-]+", parts.hostname):
        raise broken(rule)
    if parts.netloc.endswith(":"):
        raise broken(f"{rule}, with a port after its ':' or without the ':'")
    if not _PATH.fullmatch(parts.path):
        raise broken(f"{rule}, its path of letters, digits, / and -._~!$&()*+,;=:@ or %XX only")
    base = value.rstrip("/")
    if ending := re.search(r"(?:/chat)?/completions$|/responses$|/messages$", base):
        raise broken(f"{rule}: leave out {ending[0]}, the gateway adds the endpoint's path")
    return base


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?", value):
        raise broken('must be "*" or an origin like https://app.example.com (no path, no slash)')
    return value


def _passed_header(value: str) -> str:
    if value in UNPASSABLE or value.startswith(("x-tiergate-", "proxy-", "sec-")):
        raise broken("must be another header: this one is the gateway's own to set or keep")
    return value


def _rule_header(value: str) -> str:
    if value in {"authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"}:
        raise broken("must be another header: a secret's value may not stand in a policy")
    return value


def _key_header(value: str) -> str:
    if value in UNPASSABLE - {"authorization", "api-key", "x-api-key", "x-goog-api-key"}:
        raise broken("must be a header for keys, like authorization or x-api-key")
    return value


def _language(value: str) -> str:
    if value not in LANGUAGES:
        raise broken(f"must be a language the gateway tells apart: {', '.join(sorted(LANGUAGES))}")
    return value


def _tier_or_model(value: str, info: ValidationInfo) -> str:
    return value if "/" in value else _known_tier(value, info)


def _judge_options(value: dict[str, object]) -> dict[str, object]:
    if taken := {"model", "messages", "response_format", "stream"} & value.keys():
        raise broken(f"must not have {', '.join(sorted(taken))}: the gateway sets that itself")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise broken("must be values that JSON has: no dates, no nan, no inf") from None
    return value


def _fixed_header(value: str) -> str:
    name, colon, text = value.partition(":")
    if not colon or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) or not text.strip():
        raise broken("must be written `name: value`, the name in lower case")
    if not re.fullmatch(r"[ -~]{1,200}", text):
        raise broken("must be written `name: value`, of printable ASCII and 200 characters at most")
    return _passed_header(name) + f": {text.strip()}"


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Origin = Annotated[str, AfterValidator(_origin)]
FixedHeader = Annotated[str, AfterValidator(_fixed_header)]
PathPattern = Annotated[
    str,
    *_text(
        r"(?:/(?:[A-Za-z0-9._~-]+|\{model\}))+",
        "must be a path like /deployments/{model}, without a slash at its end",
    ),
]
Query = Annotated[
    str,
    *_text(
        r"[A-Za-z0-9._~-]+=[A-Za-z0-9._~%-]*(?:&[A-Za-z0-9._~-]+=[A-Za-z0-9._~%-]*)*",
        "must be like api-version=2024-10-21, without the '?'",
    ),
]
PassedHeader = Annotated[HeaderName, AfterValidator(_passed_header)]
RuleHeader = Annotated[HeaderName, AfterValidator(_rule_header)]
KeyHeader = Annotated[HeaderName, AfterValidator(_key_header)]
KeyPrefix = Annotated[
    str, *_text(r"[A-Za-z-]{0,15} ?", "must be a word like 'Bearer ' or empty, never a key")
]
LanguageCode = Annotated[str, AfterValidator(_language)]
JudgeOptions = Annotated[dict[str, object], AfterValidator(_judge_options)]
DefaultTier = Annotated[str, AfterValidator(_known_tier)]
TierOrModel = Annotated[str, AfterValidator(_tier_or_model)]
