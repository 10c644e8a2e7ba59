"""A stand-in for Fastly's API: the documented requests that this program makes, and no others.

Its answers have the shapes of the public reference and of the exchanges recorded in
github.com/fastly/go-fastly (fixtures). What it is asked is kept in `asked`, what it is to do wrong
is put into `troubles`.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "a-token-that-nobody-else-has"
SERVICE = "SU1Z0isxPaozGVKXdv0eY"


@dataclass
class Kv:
    """A KV Store: what is in it, with the metadata, in the order of the keys."""

    name: str
    items: dict[str, tuple[bytes, str]] = field(default_factory=dict)


@dataclass
class Trouble:
    """An answer in place of the right one. Status 0: the connection is closed without any."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None


@dataclass
class Service:
    """A service and the one version of it that there is."""

    type: str = "wasm"
    is_active: bool = True
    links: dict[str, str] = field(default_factory=dict)
    backends: list[dict[str, object]] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"content-type": "application/json"})


NOT_FOUND = json_answer({"msg": "Record not found", "detail": "Cannot load it"}, 404)


@dataclass
class FakeFastly:
    """An account. `page` items are in one part of a list; `asked` has method and raw path."""

    kv: dict[str, Kv] = field(default_factory=dict)
    secrets: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    page: int = 100
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    url: str = ""

    def answer(self, method: str, raw: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """What to answer; None: hang up."""
        self.asked.append((method, raw))
        self.tokens.append(headers.get("fastly-key", ""))
        if self.troubles:
            trouble = self.troubles.pop(0)
            content = b"" if trouble.body is None else json.dumps(trouble.body).encode()
            return Answer(trouble.status, content, trouble.headers) if trouble.status else None
        if headers.get("fastly-key") != TOKEN:
            detail = {"msg": "Provided credentials are missing or invalid"}
            return json_answer(detail, 401)
        url = urlsplit(raw)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        parts = [unquote(part) for part in url.path.split("/")[1:]]
        match method, parts:
            case "GET", ["tokens", "self"]:
                return json_answer({"id": "T", "name": "test", "scope": "global", "services": []})
            case "GET", ["service", id_, "details"]:
                return self._service(id_)
            case "GET", ["service", id_, "version", "3", *what] if id_ in self.services:
                return self._version(self.services[id_], what)
            case "GET", ["resources", "stores", "kv"]:
                stores = [{"id": id_, "name": kv.name} for id_, kv in self.kv.items()]
                return self._listed(stores, query)
            case "GET", ["resources", "stores", "kv", id_, "keys"] if id_ in self.kv:
                keys = sorted(self.kv[id_].items)
                return self._listed([k for k in keys if k.startswith(query["prefix"])], query)
            case _, ["resources", "stores", "kv", id_, "keys", key] if id_ in self.kv:
                return self._item(self.kv[id_], method, key, headers, body)
            case "GET", ["resources", "stores", "secret"]:
                stores = [{"id": id_, "name": name} for id_, (name, _) in self.secrets.items()]
                return self._listed(stores, query)
            case "GET", ["resources", "stores", "secret", id_, "secrets"] if id_ in self.secrets:
                names = self.secrets[id_][1]
                return self._listed([{"name": name, "digest": "x"} for name in names], query)
        return NOT_FOUND

    def _listed(self, items: list[Any], query: dict[str, str]) -> Answer:
        start = int(re.sub(r"\D", "", query.get("cursor", "0")))
        end = start + self.page
        meta: dict[str, object] = {"limit": self.page}
        if end < len(items):
            meta["next_cursor"] = f"c{end}=="
        return json_answer({"data": items[start:end], "meta": meta})

    def _item(self, kv: Kv, method: str, key: str, headers: dict[str, str], body: bytes) -> Answer:
        if method == "PUT":
            kv.items[key] = body, headers.get("metadata", "")
            return Answer(200)
        if method == "DELETE":
            return NOT_FOUND if kv.items.pop(key, None) is None else Answer(204)
        if key not in kv.items:
            return NOT_FOUND
        value, metadata = kv.items[key]
        return Answer(200, value, {"metadata": metadata, "generation": "1750707676353461"})

    def _service(self, id_: str) -> Answer:
        if id_ not in self.services:
            return json_answer({"msg": "Bad request", "detail": f"Service '{id_}' is unknown"}, 400)
        service = self.services[id_]
        version = {"number": 3, "active": service.is_active}
        value = {"id": id_, "name": "gateway", "type": service.type, "versions": [version]}
        return json_answer({**value, "active_version": version if service.is_active else None})

    def _version(self, service: Service, what: list[str]) -> Answer:
        match what:
            case ["resource"]:
                links = service.links.items()
                return json_answer([{"name": name, "resource_id": id_} for name, id_ in links])
            case ["backend"]:
                return json_answer(service.backends)
            case ["logging", kind]:
                return json_answer([{"name": name} for name in service.logs.get(kind, [])])
        return NOT_FOUND


@contextmanager
def serving(fake: FakeFastly) -> Iterator[FakeFastly]:
    """The stand-in at `fake.url`, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            fake.connections.add(self.client_address)
            answer = fake.answer(self.command, self.path, headers, body)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
