"""The provider of the ports' contract: it does what a request's path says."""

import time

from gateway.core.http import Outgoing
from gateway.hosts.memory import Canned
from gateway.ports import Cut, Silent, Stalled, Unreachable
from tests.component.peers import LAST_CHUNK, Connection, framed, head

ANSWER = b"whole answer"
HEADERS = {"X-One": "1", "X-Twice": "a\r\nX-Twice: b"}
CHUNKED = {**HEADERS, "transfer-encoding": "chunked"}
LONG_S = 8.0


def provider(connection: Connection) -> None:
    """The script of a peer: one request, one answer."""
    request = connection.request
    path = request.line.split()[1].removeprefix("/")
    length = {"content-length": str(len(ANSWER))}
    close = {"connection": "close"}
    match path.partition("/"):
        case "echo", _, _:
            lines = [f"POST /{path}", *(f"{name}: {value}" for name, value in request.headers)]
            said = "\n".join(lines).encode("latin-1") + b"\n\n" + request.body
            connection.send(head(200, {"content-length": str(len(said))}) + said)
        case "echo-body", _, _:
            size = {"content-length": str(len(request.body))}
            connection.send(head(200, size) + request.body)
        case "whole", _, _:
            connection.send(head(200, HEADERS | length) + ANSWER)
        case "chunked", _, _:
            connection.send(head(200, CHUNKED), framed(ANSWER[:3]), framed(ANSWER[3:]) + LAST_CHUNK)
        case "closed-at-its-end", _, _:
            connection.send(head(200, HEADERS | close) + ANSWER)
        case "empty", _, _:
            connection.send(head(200, {"content-length": "0"}))
        case "status", _, status:
            away = {"content-length": "7", "location": "/whole"}
            connection.send(head(int(status), away) + b"refused")
        case "reset", _, _:
            connection.reset()
        case "garbage", _, _:
            connection.send(b"\x16\x03 not HTTP at all\r\n\r\n")
        case "silent", _, _:
            connection.wait_gone(LONG_S)
        case "stalled", _, _:
            connection.send(head(200, CHUNKED), framed(b"begun"))
            connection.wait_gone(LONG_S)
        case "dripping", _, _:
            connection.send(head(200, CHUNKED))
            for _drop in range(80):
                connection.send(framed(b"."))
                time.sleep(0.1)
        case "cut", _, _:
            connection.send(head(200, HEADERS | length) + ANSWER[:5])
        case "cut-chunked", _, _:
            connection.send(head(200, CHUNKED), framed(ANSWER[:5]))
        case "cut-reset", _, _:
            connection.send(head(200, CHUNKED), framed(ANSWER[:5]))
            time.sleep(0.1)
            connection.reset()
        case "slowly", _, _:
            connection.send(head(200, CHUNKED), framed(b"one "))
            for piece in (b"two ", b"three"):
                time.sleep(0.15)
                connection.send(framed(piece))
            connection.send(LAST_CHUNK)
        case _:
            pass  # "closed": before its head


def canned(request: Outgoing) -> Canned:
    """The same provider on the memory host."""
    path = request.path.removeprefix("/")
    headers = {"x-one": "1", "x-twice": "a, b"}
    match path.partition("/"):
        case "echo", _, _:
            pairs = [
                *request.headers,
                ("host", request.authority),
                ("content-length", str(len(request.body))),
            ]
            lines = [f"POST /{path}", *(f"{name}: {value}" for name, value in pairs)]
            return Canned(200, {}, ["\n".join(lines).encode() + b"\n\n" + request.body])
        case "echo-body", _, _:
            return Canned(200, {}, [request.body])
        case (("whole" | "chunked" | "closed-at-its-end"), _, _):
            return Canned(200, headers, [ANSWER])
        case "status", _, status:
            return Canned(int(status), {}, [b"refused"])
        case "empty", _, _:
            return Canned(200)
        case "silent", _, _:
            raise Silent
        case (("stalled" | "dripping"), _, _):
            return Canned(200, headers, [b"begun"], Stalled())
        case (("cut" | "cut-chunked" | "cut-reset"), _, _):
            return Canned(200, headers, [ANSWER[:5]], Cut())
        case "slowly", _, _:
            return Canned(200, {}, [b"one ", b"two ", b"three"])
        case _:
            raise Unreachable
