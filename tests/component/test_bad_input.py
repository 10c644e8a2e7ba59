"""Bad input from clients: a clear error in OpenAI's shape, and nothing sent to a provider."""

import gzip
import json
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.component.conftest import Mock, NewPeer
from tests.component.gateways import HELLO, SECRETS, Gateway, Json, error_of, make_policy
from tests.component.peers import DONE, completion, says, whole

MIB = 1024 * 1024


@pytest.fixture
def quiet(gateway: Gateway, mock: Mock) -> Iterator[Gateway]:
    """A gateway whose provider hears nothing during the test."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    before = mock.received()
    yield gateway
    assert mock.received() == before


def _body(**members: object) -> bytes:
    return json.dumps({"messages": HELLO, **members}).encode()


def _text(members: str) -> bytes:
    return b'{"messages": [{"role": "user", "content": "x"}], ' + members.encode() + b"}"


NOT_JSON = {
    "empty": b"",
    "space": b"   ",
    "text": b"hello",
    "half": _body()[:-5],
    "two": _body() + _body(),
    "trailing": _body() + b"x",
    "trailing comma": _text('"n": 1,'),
    "no comma": _text('"n": 1 "m": 2'),
    "single quotes": b"{'messages': []}",
    "comment": _text('"n": 1 /* one */'),
    "NaN": _text('"top_p": NaN'),
    "Infinity": _text('"top_p": -Infinity'),
    "huge number": _text('"top_p": 1e999'),
    "endless number": _text('"n": ' + "9" * 5000),
    "control character": _text('"user": "a\x01b"'),
    "lone quote": _text('"user": "a'),
    "bad escape": _text('"user": "\\x41"'),
    "array": b"[]",
    "null": b"null",
    "number": b"17",
    "string": b'"hello"',
    "byte order mark": b"\xef\xbb\xbf" + _body(),
    "UTF-16": _body().decode().encode("utf-16"),
    "Latin-1": '{"messages": [{"role": "user", "content": "größe"}]}'.encode("latin-1"),
    "cut UTF-8": b'{"messages": [{"role": "user", "content": "\xe6\xbc"}]}',
    "surrogates in UTF-8": b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
    "overlong UTF-8": b'{"messages": [{"role": "user", "content": "\xc0\xaf"}]}',
    "zero bytes": b"\x00" * 100,
    "multipart": b"--x\r\ncontent-disposition: form-data\r\n\r\nx\r\n--x--",
    "form": b"model=auto&messages=hello",
    "duplicate key": _text('"model": "auto", "model": "mock/large"'),
    "duplicate key, escaped": _text('"model": "auto", "mod\\u0065l": "mock/large"'),
    "duplicate key inside": b'{"messages": [{"role": "user", "role": "system", "content": "x"}]}',
    "100,000 brackets": b"[" * 100_000,
    "a million arrays": _text('"x": [' + "[]," * 1_000_000 + "0]"),
    "100,000 braces": b'{"a":' * 100_000,
    "deep and closed": _text('"x": ' + "[" * 129 + "]" * 129),
    "deep after quotes": _text('"x": "\\"[", "y": ' + "[" * 5000 + "]" * 5000),
    "deep after a backslash": _text('"x": "\\\\", "y": ' + "[" * 5000 + "]" * 5000),
    "deep and mixed": _text('"x": ' + '[{"a":' * 3000 + "1" + "}]" * 3000),
    "deep behind a broken string": b'{"a": "\\\\\\"' + b"[" * 50_000,
}


@pytest.mark.parametrize("what", NOT_JSON)
def test_not_json(quiet: Gateway, what: str) -> None:
    """A body that is not one JSON object, strictly read, is a 400."""
    answer = quiet.post(NOT_JSON[what])
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_json")
    assert len(error["message"]) < 300


def test_depth_that_is_allowed(gateway: Gateway, new_peer: NewPeer) -> None:
    """Nesting up to the limit, and any number of brackets in a string, is nobody's business."""
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    text = "[" * 100_000 + '\\"' + "{" * 100_000
    for body in (
        _text('"x": ' + "[" * 127 + "]" * 127),
        _body(user=text),
        _text('"x": [' + "[{}]," * 50_000 + "0]"),
    ):
        assert gateway.post(body).status_code == 200
        assert json.loads(peer.received[-1].body)["model"] == "a"


WRONG: list[tuple[Json, str]] = [
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": {}}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [None]}, "messages[0]"),
    ({"messages": ["hello"]}, "messages[0]"),
    ({"messages": [*HELLO, {}]}, "messages[1].role"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "USER", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": {"text": "x"}}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]},
        "messages[0].content[0].text",
    ),
    ({"model": 7}, "model"),
    ({"model": ["auto"]}, "model"),
    ({"stream": "true"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"stream_options": []}, "stream_options"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ({"tools": {}}, "tools"),
    ({"tool_choice": 7}, "tool_choice"),
    ({"response_format": "json"}, "response_format"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"n": 1.5}, "n"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"stop": 7}, "stop"),
    ({"metadata": "x"}, "metadata"),
]


@pytest.mark.parametrize(("members", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_types(quiet: Gateway, members: Json, param: str) -> None:
    """A member of a wrong type is a 400 that names it by its path."""
    answer = quiet.post(_body(**members))
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


def test_no_messages(quiet: Gateway) -> None:
    """A request without messages is told so."""
    error = error_of(quiet.post(b'{"model": "auto"}'))
    assert (error["code"], error["param"]) == ("missing_required_parameter", "messages")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "GZIP"])
def test_compressed(quiet: Gateway, encoding: str) -> None:
    """A compressed body is refused by name, not taken for broken JSON."""
    answer = quiet.post(gzip.compress(_body()), {"content-encoding": encoding})
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "unsupported_content_encoding"


def test_huge_headers(quiet: Gateway) -> None:
    """Header values as large as the host lets through change nothing; larger ones are refused."""
    for size in (1_000, 8_000, 30_000, 100_000, 300_000, 2_000_000):
        with quiet.connect() as sock:
            sock.sendall(
                b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: "
                + b"a" * min(size, 1000)
            )
            try:
                sock.sendall(b"a" * (size - 1000) + b"\r\n\r\n")
                said = b"".join(iter(lambda: sock.recv(65536), b""))
            except ConnectionError:
                said = b""
        status = said.split(b" ", 2)[1:2]
        assert status == [b"200"] or (size > 8_000 and status in ([b"431"], [b"400"], []))
    assert quiet.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("name", ["accept", "idempotency-key", "authorization", "x-tiergate-tier"])
@pytest.mark.parametrize("size", [4_000, 60_000, 120_000])
def test_huge_values_that_are_read(gateway: Gateway, mock: Mock, name: str, size: int) -> None:
    """A huge value in a header that the gateway reads or passes on gives a clear answer."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    answer = gateway.chat(headers={name: "a" * size})
    assert answer.status_code in {200, 400, 413, 431, 502}
    if answer.status_code not in {200, 431}:
        assert error_of(answer)["message"]
    assert gateway.chat().status_code == 200


def test_huge_values_that_add_up(gateway: Gateway, mock: Mock) -> None:
    """Values that pass one by one, and together are more than a host lets out, are the client's."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    for size in (50_000, 100_000, 150_000):
        headers = {"accept": "a" * size, "idempotency-key": "b" * size}
        answer = gateway.chat(headers=headers)
        assert answer.status_code in {200, 400, 431}, answer.text
    assert gateway.chat().status_code == 200


def test_a_huge_preflight(gateway: Gateway, mock: Mock) -> None:
    """A preflight that asks for more than a host lets out gets an answer."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small", cors={"origins": ["*"]}))
    for size in (50_000, 100_000, 150_000):
        headers = {"origin": "https://a.example", "access-control-request-headers": "a" * size}
        answer = gateway.http.options("/v1/chat/completions", headers=headers)
        assert answer.status_code in {204, 400, 431}


def test_many_headers(quiet: Gateway) -> None:
    """A thousand headers break nothing."""
    answer = quiet.http.get("/healthz", headers={f"x-{number}": "y" for number in range(90)})
    assert answer.status_code == 200
    lines = b"".join(b"x-%d: y\r\n" % number for number in range(1000))
    with quiet.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + lines + b"\r\n")
        assert sock.recv(64).split(b" ")[1] in {b"200", b"431", b"400"}
    assert quiet.http.get("/healthz").status_code == 200


# --- Size --------------------------------------------------------------------


def _mib(count: int) -> Iterator[bytes]:
    yield b'{"messages": [{"role": "user", "content": "'
    for _ in range(count):
        yield b"x" * MIB
    yield b'"}]}'


def _sized(parts: Iterable[bytes]) -> tuple[int, Iterable[bytes]]:
    listed = list(parts)
    return sum(map(len, listed)), listed


@pytest.mark.parametrize("with_length", [True, False], ids=["content-length", "chunked"])
@pytest.mark.parametrize("count", [33, 60])
def test_too_large(quiet: Gateway, count: int, *, with_length: bool) -> None:
    """A body over the limit gets a 413 that its client can read after sending it all."""
    length, parts = _sized(_mib(count))
    headers = {"content-type": "application/json"}
    if with_length:
        headers["content-length"] = str(length)
    answer = quiet.http.post("/v1/chat/completions", content=iter(parts), headers=headers)
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "request_too_large"
    assert quiet.record_of(answer)["status"] == 413


def test_the_limit_itself(gateway: Gateway, new_peer: NewPeer) -> None:
    """A body of exactly the limit is served, one of a byte more is not."""
    peer = new_peer(says(whole(completion())))
    gateway.use(make_policy({"up": peer.url}, "up/a"))
    frame = len(_body(user=""))
    limit = gateway.host.max_body
    fits = _body(user="x" * (limit - frame))
    assert len(fits) == limit
    assert gateway.post(fits).status_code == 200
    assert gateway.post(fits + b" ").status_code == 413


def test_an_endless_body(quiet: Gateway) -> None:
    """A body without end is not read for ever: the client is answered or cut off."""
    with quiet.connect() as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        block = b"%x\r\n" % MIB + b"x" * MIB + b"\r\n"
        sent = 0
        try:
            while sent < 400:
                sock.sendall(block)
                sent += 1
        except (ConnectionError, TimeoutError):
            pass
        assert sent < 300 or sock.recv(64).split()[1] == b"413"
    assert quiet.http.get("/healthz").status_code == 200


# --- Broken off --------------------------------------------------------------


@pytest.mark.parametrize("framing", ["content-length: 1000", "transfer-encoding: chunked"])
@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_a_client_that_stops(quiet: Gateway, framing: str, how: str) -> None:
    """A client that stops in the middle of its body is never forwarded, and disturbs nobody."""
    piece = b'{"messages": [{"role": "user", "content": "x"}]}'
    sock = quiet.connect()
    chunked = framing.startswith("transfer")
    sock.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n".encode()
        + (b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    )
    time.sleep(0.05)
    if how == "half-close":
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(5)
        said = sock.recv(65536)
        assert b" 200 " not in said.split(b"\r\n")[0]
    elif how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
    time.sleep(0.05)
    assert quiet.http.get("/healthz").status_code == 200


def test_bad_chunks(quiet: Gateway) -> None:
    """A chunked body that is no chunked body is never forwarded."""
    for rubbish in (b"zz\r\n{}\r\n0\r\n\r\n", b"-5\r\nxxxxx\r\n", b"5\r\nab\r\n0\r\n\r\n"):
        with quiet.connect() as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
                b"transfer-encoding: chunked\r\n\r\n" + rubbish
            )
            sock.shutdown(socket.SHUT_WR)
            assert b" 200 " not in sock.recv(65536).split(b"\r\n")[0]
    assert quiet.http.get("/healthz").status_code == 200


def test_not_http(quiet: Gateway) -> None:
    """Bytes that are no HTTP disturb nobody."""
    for rubbish in (
        b"\x16\x03\x01\x00\xff" + b"\x00" * 200,
        b"GET\r\n\r\n",
        b"\r\n" * 50,
        b"\xff" * 500,
    ):
        with quiet.connect() as sock:
            sock.sendall(rubbish)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    assert quiet.http.get("/healthz").status_code == 200


# --- Injection ---------------------------------------------------------------

INJECTIONS = [
    "auto\r\nx-injected: 1",
    "mock/small\r\n\r\nHTTP/1.1 200 OK",
    "mock/small\n",
    "tiergate/only\r\nx-injected: 1",
    "auto\x00",
    "../../policy/active",
    "mock/small?x=y",
    "http://127.0.0.1:9/x",
    "größe\u2028\ud800",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("model", INJECTIONS, ids=lambda value: ascii(value)[:30])
@pytest.mark.parametrize("unknown", ["classify", "reject"])
def test_header_injection(gateway: Gateway, mock: Mock, model: str, unknown: str) -> None:
    """No text of a client becomes a header, a path or a host."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small", unknown_model=unknown))
    answer = gateway.post(_body(model=model))
    allowed = {200} if unknown == "classify" and "tiergate/" not in model else {404}
    assert answer.status_code in allowed
    assert "x-injected" not in answer.headers
    assert len(answer.content) < 5000
    if answer.status_code == 200:
        last = mock.last()[0]
        assert (last["path"], last["body"]["model"]) == ("/v1/chat/completions", "small")


def test_headers_with_other_bytes(quiet: Gateway) -> None:
    """Header values beyond ASCII are compared or refused, never a failure."""
    for header in (
        b"authorization: Bearer gr\xc3\xb6\xc3\x9fe",
        b"x-tiergate-tier: gr\xf6\xdfe",
        b"x-tiergate-bypass: \xff\xfe",
        b"x-tiergate-timeout-ms: \xb2",
        b"content-encoding: \xe9",
    ):
        with quiet.connect() as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
                + header
                + b"\r\ncontent-length: 2\r\n\r\n{}"
            )
            assert sock.recv(64).startswith(b"HTTP/1.1 400 ")


def test_two_keys(gateway: Gateway, mock: Mock) -> None:
    """Of two Authorization headers no combination of wrong ones opens the gateway."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small", client={"keys": ["E2E_CLIENT_KEY"]}))
    for values in (("Bearer a", "Bearer b"), ("", ""), ("Basic x", "Bearer"), ("bearer", "x")):
        answer = gateway.http.get("/v1/models", headers=[("authorization", v) for v in values])
        assert answer.status_code == 401
    key = SECRETS["E2E_CLIENT_KEY"]
    answer = gateway.http.get("/v1/models", headers={"authorization": f"bearer  {key}"})
    assert answer.status_code == 200


# --- What must not disturb others --------------------------------------------


def test_brackets_while_streams_run(gateway: Gateway, mock: Mock) -> None:
    """100,000 brackets, and other bodies that crash a parser, cut none of 16 running streams."""
    gateway.use(make_policy({"mock": mock.url}, "mock/small"))
    mock.order("small", "chunk_ms=60")

    def stream(_: int) -> bytes:
        return gateway.streamed()[1]

    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(stream, number) for number in range(16)]
        time.sleep(0.2)
        for body in (
            b"[" * 100_000,
            b'{"messages":' + b"[" * 100_000,
            b'{"a":' * 100_000,
            _body(x=1)[:-1] + b', "y": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        ):
            assert gateway.post(body).status_code == 400
        assert not all(one.done() for one in running)
        assert all(one.result().endswith(DONE) for one in running)


def test_a_duplicate_among_many_keys(fresh: Gateway, mock: Mock) -> None:
    """A repeated key is found at once among 60,000: one request must not stop an instance."""
    fresh.use(make_policy({"mock": mock.url}, "mock/small"))
    inner = ",".join(f'"k{number}":0' for number in range(60_000))
    body = _text('"metadata": {' + inner + ',"twice":1,"twice":2}')
    started = time.monotonic()
    answer = fresh.http.post("/v1/chat/completions", content=body, timeout=8)
    assert answer.status_code == 400
    assert time.monotonic() - started < 3


def test_nesting_that_is_slow_to_measure(fresh: Gateway) -> None:
    """Measuring the depth of 4 MiB of brackets takes no more than a moment."""
    half = 2 * MIB
    body = b'{"a":' + b"[" * 120 + b"]" * 120 + b',"b":' + b"[" * half + b"]" * half + b"}"
    fresh.use(make_policy({"ollama": "http://127.0.0.1:9/v1"}, "ollama/x"))
    started = time.monotonic()
    assert fresh.post(body).status_code == 400
    assert time.monotonic() - started < 2.5


def test_heavy_bodies(fresh: Gateway, new_peer: NewPeer) -> None:
    """Bodies made of as many values as fit neither kill the instance nor the next request."""
    peer = new_peer(says(whole(completion())))
    fresh.use(make_policy({"up": peer.url}, "up/a"))
    for unit in (b'{"":1},', b"[],", b'"",'):
        body = b'{"messages": [{"role": "user", "content": "x"}], "x": ['
        body += unit * (3 * MIB // len(unit)) + b"0]}"
        answer = fresh.http.post("/v1/chat/completions", content=body, timeout=60)
        assert answer.status_code in {200, 400, 413}
    assert fresh.chat().status_code == 200
