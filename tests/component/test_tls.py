"""Providers over TLS: who is believed to be one, and what happens with the others.

The certificates are of an authority made here. A host is told to trust it by SSL_CERT_FILE, if it
can be told.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
import trustme

from tests.cannot import lack
from tests.component.gateways import HELLO, Gateway, in_order, make_policy
from tests.component.hosts import Host
from tests.component.peers import (
    LAST_CHUNK,
    SSE_HEAD,
    Connection,
    Peer,
    completion,
    framed,
    stream_of,
    whole,
)

NAME = "localhost"
TRUSTED = trustme.CA()
UNKNOWN = trustme.CA(organization_name="nobody knows")


@dataclass
class TlsPeer(Peer):
    """A provider that has this certificate. `names`: the server names that it was asked for."""

    certificate: trustme.LeafCert | None = None  # none: it speaks no TLS
    names: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        if self.certificate:
            self.certificate.configure_cert(self._context)
        return super().__enter__()

    @property
    def url(self) -> str:
        return super().url.replace(f"http://{self.address}", f"https://{NAME}")

    def _serve(self, sock: socket.socket) -> None:
        self._open.discard(sock)
        try:
            if self.certificate:
                sock = self._context.wrap_socket(sock, server_side=True)
            else:
                sock.sendall(whole(b"{}", 400))
        except OSError:  # the other side did not like the certificate
            sock.close()
            return
        self._open.add(sock)
        super()._serve(sock)


def _answer(text: str) -> Callable[[Connection], None]:
    """Whole or streamed, as asked."""

    def script(connection: Connection) -> None:
        if connection.request.json().get("stream"):
            connection.send(SSE_HEAD, *map(framed, stream_of(text)), LAST_CHUNK)
        else:
            connection.send(whole(completion(text)))

    return script


@pytest.fixture(scope="module")
def gateway(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One whose host trusts the authority, if it can be told to."""
    folder: Path = tmp_path_factory.mktemp("tls")
    TRUSTED.cert_pem.write_to_path(str(folder / "authority.pem"))
    made = Gateway(host, folder / "kv", {"SSL_CERT_FILE": str(folder / "authority.pem")})
    yield made
    made.stop()
    made.check()


@pytest.fixture
def good() -> Iterator[Peer]:
    """The next target."""
    with Peer(_answer("from the second")) as peer:
        yield peer


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both
def test_a_certificate_of_a_trusted_authority(
    gateway: Gateway, good: Peer, *, stream: bool
) -> None:
    """A provider at an https address is asked by its name and answers over TLS."""
    is_lacking = lack(gateway.host.name, "a_certificate_of_a_trusted_authority")
    with TlsPeer(_answer("over TLS"), certificate=TRUSTED.issue_cert(NAME)) as peer:
        row = {"base_url": peer.url, "key": "E2E_PROVIDER_KEY"}
        gateway.use(make_policy({"up": row, "good": good.url}, *in_order("up/a", "good/b")))
        answer = gateway.chat(stream=stream)
        assert answer.status_code == 200
        assert peer.names == [NAME]
        if is_lacking:
            assert answer.headers["x-tiergate-fallback"] == "up/a;unreachable"
            return
        assert "over TLS" in answer.text
        assert "x-tiergate-fallback" not in answer.headers
        (request,) = peer.received
        assert request.all("host") == [peer.url.split("/")[2]]
        assert good.accepted == 0


CERTIFICATES: dict[str, Callable[[], trustme.LeafCert | None]] = {
    "another name": lambda: TRUSTED.issue_cert("provider.example"),
    "its address only": lambda: TRUSTED.issue_cert("127.0.0.1"),
    "an unknown authority": lambda: UNKNOWN.issue_cert(NAME),
    "run out": lambda: TRUSTED.issue_cert(
        NAME,
        not_before=datetime.now(UTC) - timedelta(days=2),
        not_after=datetime.now(UTC) - timedelta(days=1),
    ),
    "no TLS": lambda: None,
}


@both
@pytest.mark.parametrize("which", CERTIFICATES)
def test_whoever_does_not_prove_its_name_is_unreachable(
    gateway: Gateway, good: Peer, which: str, *, stream: bool
) -> None:
    """Such a provider is sent no request, so no key; the next target answers, and headers and
    record say why."""
    with TlsPeer(_answer("an impostor"), certificate=CERTIFICATES[which]()) as peer:
        row = {"base_url": peer.url, "key": "E2E_PROVIDER_KEY"}
        gateway.use(make_policy({"bad": row, "good": good.url}, *in_order("bad/a", "good/b")))
        answer = gateway.chat(stream=stream)
        assert answer.status_code == 200
        assert "from the second" in answer.text
        assert answer.headers["x-tiergate-fallback"] == "bad/a;unreachable"
        outcomes = [one["outcome"] for one in gateway.record_of(answer)["attempts"]]
        assert outcomes == ["unreachable", "answered"]
        assert peer.accepted > 0
        assert not peer.received


def test_a_handshake_that_stalls(gateway: Gateway, good: Peer) -> None:
    """A provider that takes the connection and says nothing is left in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://{NAME}:{silent.getsockname()[1]}/v1"
        timeouts = {"connect_ms": 1000, "first_content_ms": 1000}
        policy = make_policy(
            {"bad": url, "good": good.url}, *in_order("bad/a", "good/b"), timeouts=timeouts
        )
        gateway.use(policy)
        body = {"model": "auto", "messages": HELLO, "stream": True}
        answer = gateway.http.post("/v1/chat/completions", json=body, timeout=8)
        assert "from the second" in answer.text
        assert answer.headers["x-tiergate-fallback"] == "bad/a;silent"
