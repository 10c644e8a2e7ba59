"""What a Fastly service still lacks to run this gateway with a policy, in the order of remedy.

Rules: it only looks, and nothing it does asks for a secret's value; each finding is one line, and
what is missing has the command that puts it right. What cannot be seen from outside is said to be
so, and is a warning. Commands are those of Fastly's CLI, version 16 and later.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.core.compiled import load
from gateway.core.errors import PolicyError
from gateway.core.policy import Policy
from gateway.operator.fastly import KV_LINK, LOG_ENDPOINT, SECRETS_LINK, account
from gateway.operator.fastly.account import Store
from gateway.operator.fastly.api import TOKEN, FastlyApi, TokenRefused
from gateway.operator.fastly.backends import Wanted, wanted
from gateway.operator.fastly.store import FastlyStore
from gateway.policies import ACTIVE

# https://www.fastly.com/documentation/guides/compute/edge-data-storage/working-with-secret-stores/
SECRET_READS = 5

PUBLISH = "cd deploy/fastly && fastly compute publish"

State = Literal["ok", "missing", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` what, in what state; `remedy` is the command or step that makes it ok."""

    about: str
    state: State
    text: str
    remedy: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return {
            "about": self.about,
            "state": self.state,
            "text": self.text,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of a service, and how a command changes the next one."""

    service_id: str
    number: int

    @property
    def change(self) -> str:
        return f"--service-id {self.service_id} --version latest --autoclone"

    @property
    def activate(self) -> str:
        return f"fastly service version activate --service-id {self.service_id} --version latest"


def findings(api: FastlyApi, policy: Policy, file: Path, service_id: str) -> Iterator[Finding]:
    """One after the other, as far as one allows the next. Raises StoreError."""
    try:
        token = account.token(api)
    except TokenRefused as error:
        yield Finding("token", "missing", str(error), f"set {TOKEN}")
        return
    yield Finding("token", "ok", f"works{f' (scope {token.scope})' if token else ''}")

    service = account.service(api, service_id)
    if service is None:
        text = f"there is none with the ID {service_id} that this token may see"
        yield Finding("service", "missing", text, PUBLISH)
        return
    if service.type != "wasm":
        yield Finding("service", "missing", f"{service.name} is no Compute service", PUBLISH)
        return
    version = _Version(service_id, _number(service))
    yield _activity(service, version)

    yield from _stores(api, policy, file, version)
    yield _log(api, version)
    backends = account.backends(api, service_id, version.number)
    for backend in wanted(policy):
        yield _backend(backend, backends.get(backend.name), version)


def _number(service: account.Service) -> int:
    if service.active_version:
        return service.active_version.number
    return max((version.number for version in service.versions), default=1)


def _activity(service: account.Service, version: _Version) -> Finding:
    if service.active_version:
        return Finding("service", "ok", f"{service.name}, version {version.number} is active")
    return Finding(
        "service",
        "missing",
        f"{service.name} has no active version; this is about version {version.number}",
        f"{PUBLISH} --service-id {version.service_id}",
    )


def _stores(api: FastlyApi, policy: Policy, file: Path, version: _Version) -> Iterator[Finding]:
    links = account.links(api, version.service_id, version.number)
    linked = {name: link.resource_id for name, link in links.items()}
    stores = account.kv_stores(api)
    kv = _store(linked.get(KV_LINK), stores)
    yield _link("KV Store", "kv-store", KV_LINK, kv, stores, version)
    if kv:
        yield _published(FastlyStore(api, kv), policy, file)

    stores = account.secret_stores(api)
    secrets = _store(linked.get(SECRETS_LINK), stores)
    yield _link("Secret Store", "secret-store", SECRETS_LINK, secrets, stores, version)
    if secrets:
        yield from _secrets(account.secret_names(api, secrets), secrets, policy)


def _store(id_: str | None, stores: list[Store]) -> Store | None:
    return next((store for store in stores if store.id == id_), None)


def _link(
    kind: str, command: str, name: str, linked: Store | None, stores: list[Store], version: _Version
) -> Finding:
    if linked:
        return Finding(kind, "ok", f"{linked.name} is linked as {name}")
    text = f"version {version.number} links none as {name}"
    own = next((store for store in stores if store.name == name), None)
    if own is None:
        text += ", and the account has none of that name; check again after it, for the link"
        return Finding(kind, "missing", text, f"fastly {command} create --name {name}")
    link = (
        f"fastly service resource-link create {version.change} --resource-id {own.id} --name {name}"
    )
    return Finding(kind, "missing", text, f"{link} && {version.activate}")


def _published(store: FastlyStore, policy: Policy, file: Path) -> Finding:
    publish = f"tiergate policy publish {shlex.quote(str(file))} --to {shlex.quote(str(store))}"
    data = store.read(ACTIVE)
    if data is None:
        return Finding("policy", "missing", f"none is published in {store}", publish)
    try:
        active = load(data)
    except PolicyError as error:
        return Finding("policy", "missing", f"{ACTIVE} does not load: {error.message}", publish)
    if active.client_keys is None:
        return Finding(
            "policy", "missing", f"{active.label} is active, without client keys", publish
        )
    if active.version != policy.version:
        text = f"{active.label} is active; {file} is {policy.label}"
        return Finding("policy", "warning", text, publish)
    return Finding("policy", "ok", f"{active.label} is active")


def _secrets(there: set[str], store: Store, policy: Policy) -> Iterator[Finding]:
    names = policy.secret_names()
    for name in names:
        about = f"secret {name}"
        if name in there:
            yield Finding(about, "ok", f"is in {store.name}")
        else:
            remedy = f"fastly secret-store-entry create --store-id {store.id} --name {name}"
            text = f"is not in {store.name}; the command asks for its value"
            yield Finding(about, "missing", text, remedy)
    if len(names) > SECRET_READS:
        yield Finding(
            "secrets",
            "warning",
            f"the policy names {len(names)}, and Fastly lets a request read {SECRET_READS}:"
            " those beyond may look as if they were not set",
            "ask Fastly Support for more reads, or name fewer",
        )


def _log(api: FastlyApi, version: _Version) -> Finding:
    kind = account.log_kind(api, version.service_id, version.number, LOG_ENDPOINT)
    if kind:
        return Finding("log", "ok", f"goes to the {kind} endpoint {LOG_ENDPOINT}")
    return Finding(
        "log",
        "warning",
        f"no endpoint is named {LOG_ENDPOINT}, so decision records are not kept; any kind will do",
        f"fastly service logging https create {version.change} --name {LOG_ENDPOINT}"
        f" --url https://YOUR-COLLECTOR/ && {version.activate}",
    )


def _backend(backend: Wanted, found: account.Backend | None, version: _Version) -> Finding:
    about = f"backend {backend.name}"
    if backend.is_here:
        text = f"{backend.provider} is at an address of this machine, which Fastly cannot reach"
        return Finding(about, "warning", text, f"another base_url for {backend.provider}")
    settings = f"{version.change} {backend.options} && {version.activate}"
    if found is None:
        return Finding(
            about,
            "warning",
            f"there is no static one of that name for {backend.provider}, so a dynamic one is made;"
            " whether the account has these cannot be seen from outside. Else make a static one",
            f"fastly service backend create {settings}",
        )
    update = f"fastly service backend update {settings}"
    if not backend.is_at(found):
        return Finding(about, "missing", f"the static backend is not {backend.place}", update)
    if not backend.is_as_patient(found):
        text = "the static backend's timeouts are shorter than the policy's"
        return Finding(about, "warning", text, update)
    return Finding(about, "ok", f"a static backend, for {backend.provider}")
