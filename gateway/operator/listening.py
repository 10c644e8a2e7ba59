"""Addresses to listen at: what is loopback, what is free."""

import ipaddress
import socket

from gateway.operator.console import Refused


def address_of(host: str) -> str:
    """The IP address of a host to bind. Raises Refused."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        raise Refused(f"--host {host}: there is no such address") from None


def is_loopback_address(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def socket_address(address: str, port: int) -> str:
    """`127.0.0.1:80`, `[::1]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def local_url(address: str, port: int) -> str:
    """The URL at which this machine reaches a listener at `address`, `0.0.0.0` included."""
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        address = "127.0.0.1" if ip.version == 4 else "::1"
    return f"http://{socket_address(address, port)}"


def check_free(address: str, port: int) -> int:
    """The port, for 0 one that is free now. Raises Refused if somebody listens there, or if this
    user may not."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
            return int(probe.getsockname()[1])
        except PermissionError:
            raise Refused(f"port {port} needs more rights: use --port with 1024 or more") from None
        except OSError as error:
            raise Refused(
                f"cannot listen at {socket_address(address, port)}: {error.strerror}."
                " Stop what listens there, or use another --port"
            ) from None


def is_listening(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
