"""What can go wrong, drawn by whose fault it is. The type knows its HTTP status.

TiergateError
├── ClientError                what the client sent
│   ├── BadRequest             400
│   ├── Unauthorized           401
│   ├── Forbidden              403
│   ├── NotFound               404
│   ├── MethodNotAllowed       405
│   ├── TooLarge               413
│   └── HeadersTooLarge        431
├── GatewayError               how the gateway is set up, or a defect of its own
│   ├── Internal               500
│   ├── NotSupported           501
│   └── NotReady               503
├── UpstreamError              no provider could answer (429, 502, 503, 504)
├── Rejected                   a provider refused the request itself (its own 4xx)
└── PolicyError                a policy that does not load; never reaches a client

Each is shown to the client in its dialect's error shape, built from `message`, `type`, `code` and
`param`. A message is written here or is one that the provider's dialect says is meant for users.
"""

from typing import ClassVar


class TiergateError(Exception):
    """The root. `type` and `code` are OpenAI's words where OpenAI has one for the case."""

    status: int = 500
    type: str = "server_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code: str | None = code or self.default_code
        self.param = param
        self.headers: list[tuple[str, str]] = []


class ClientError(TiergateError):
    """The client's fault: sending the same request again will fail again."""

    type = "invalid_request_error"


class BadRequest(ClientError):
    """The request cannot be read or asks for something that does not exist."""

    status = 400
    default_code = "invalid_request"


class Unauthorized(ClientError):
    """The client's key is missing or not one of the policy's."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class Forbidden(ClientError):
    """The policy does not let clients do this."""

    status = 403
    type = "permission_error"
    default_code = "not_allowed"


class NotFound(ClientError):
    """No such endpoint or model."""

    status = 404
    default_code = "not_found"


class MethodNotAllowed(ClientError):
    """The endpoint exists, but not for this method."""

    status = 405
    default_code = "method_not_allowed"


class TooLarge(ClientError):
    """The body is over the limit."""

    status = 413
    default_code = "request_too_large"


class HeadersTooLarge(ClientError):
    """The request's headers are over the limit."""

    status = 431
    default_code = "headers_too_large"


class GatewayError(TiergateError):
    """The gateway's or its operator's fault."""


class Internal(GatewayError):
    """A defect of the gateway; the log has the details, the client does not."""


class NotSupported(GatewayError):
    """No target of the policy can do this, whatever is asked."""

    status = 501
    type = "not_supported_error"
    default_code = "not_supported"


class NotReady(GatewayError):
    """There is no policy, or nothing in it that can serve the request."""

    status = 503
    type = "service_unavailable_error"
    default_code = "not_ready"


class UpstreamError(TiergateError):
    """Every target of the plan failed; `status` says how."""

    type = "upstream_error"
    default_code = "all_targets_failed"

    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status


class Rejected(TiergateError):
    """A provider refused the request: its status, type, code and param are given back."""

    def __init__(
        self, status: int, message: str, *, type: str, code: str | None, param: str | None
    ) -> None:
        super().__init__(message, param=param)
        self.status = status
        self.type = type
        self.code = code


class PolicyError(TiergateError):
    """A policy that does not load: `path` is where in it, like `tiers[0].targets[1].weight`."""

    default_code = "policy_error"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'policy'}: {problem}")
        self.path = path
        self.problem = problem
