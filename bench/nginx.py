"""The two configurations of nginx: the upstream that answers, and the proxy that is the yardstick.

The yardstick is set for speed: no log (the gateway writes a line a request), connections kept alive
on both sides, nothing looked at.
"""

from collections.abc import Iterable

from bench.payloads import ADDRESSES, completion, judgement

CHAT = "/v1/chat/completions"
_KEPT_ALIVE = 64  # idle upstream connections a worker keeps: more than the bench has clients
_FOREVER = 100_000_000  # requests on one connection; nginx's 1000 would close it amid a run


def upstream_config(port: int) -> str:
    """Answers every request with the same completion; under /judge as the classifier does."""
    return _config(f"""
    server {{
        {_lines(f"listen {address}:{port};" for address in ADDRESSES)}
        default_type application/json;
        location = {CHAT} {{ return 200 '{_quoted(completion())}'; }}
        location = /judge{CHAT} {{ return 200 '{_quoted(judgement())}'; }}
    }}""")


def proxy_config(port: int, *, whole_port: int, stream_port: int) -> str:
    """`proxy_pass` to the same upstreams; /stream{CHAT} goes to those that stream."""
    return _config(f"""
    upstream whole {{
        {_servers(whole_port)}
        keepalive {_KEPT_ALIVE};
        keepalive_requests {_FOREVER};
    }}
    upstream streams {{
        {_servers(stream_port)}
        keepalive {_KEPT_ALIVE};
        keepalive_requests {_FOREVER};
    }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location = {CHAT} {{ proxy_pass http://whole; }}
        location = /stream{CHAT} {{
            proxy_pass http://streams{CHAT};
            proxy_buffering off;
        }}
    }}""")


def _config(servers: str) -> str:
    return f"""
daemon off;
worker_processes auto;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests {_FOREVER};
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{servers}
}}
"""


def _servers(port: int) -> str:
    return _lines(f"server {address}:{port};" for address in ADDRESSES)


def _lines(lines: Iterable[str]) -> str:
    return "\n        ".join(lines)


def _quoted(text: str) -> str:
    """Inside single quotes. A `$` cannot be quoted there at all."""
    if "$" in text:
        raise ValueError("nginx would take $ for a variable")
    return text.replace("\\", "\\\\").replace("'", "\\'")
