"""What the errors of Fastly's SDK are to the flow: one table, which a test proves complete."""

from wit_world.imports import http_req, types

from gateway.ports import Silent, TransportError, Unreachable


def failure_of(
    error: http_req.ErrorWithDetail | types.Error, *, is_late: bool = False
) -> TransportError:
    """What an error of a sent request is to the flow: its detail says more where there is one.

    Without one, `is_late` says whether it came when the time for the head was up.
    """
    detail = error.detail if isinstance(error, http_req.ErrorWithDetail) else None
    if detail is None and is_late:
        return Silent()
    if isinstance(error, http_req.ErrorWithDetail):
        kind = type(detail if detail is not None else error.error)
    else:
        kind = type(error)
    return FAILURES.get(kind, Unreachable)()


# Every error that a sent request can end in, before its head is there.
FAILURES: dict[type, type[TransportError]] = {
    http_req.SendErrorDetail_DnsTimeout: Unreachable,
    http_req.SendErrorDetail_DnsError: Unreachable,
    http_req.SendErrorDetail_DestinationNotFound: Unreachable,
    http_req.SendErrorDetail_DestinationUnavailable: Unreachable,
    http_req.SendErrorDetail_DestinationIpUnroutable: Unreachable,
    http_req.SendErrorDetail_ConnectionRefused: Unreachable,
    http_req.SendErrorDetail_ConnectionTerminated: Unreachable,
    http_req.SendErrorDetail_ConnectionTimeout: Unreachable,
    http_req.SendErrorDetail_ConnectionLimitReached: Unreachable,
    http_req.SendErrorDetail_TlsCertificateError: Unreachable,
    http_req.SendErrorDetail_TlsConfigurationError: Unreachable,
    http_req.SendErrorDetail_HttpIncompleteResponse: Unreachable,
    http_req.SendErrorDetail_HttpResponseHeaderSectionTooLarge: Unreachable,
    http_req.SendErrorDetail_HttpResponseBodyTooLarge: Unreachable,
    http_req.SendErrorDetail_HttpResponseTimeout: Silent,
    http_req.SendErrorDetail_HttpResponseStatusInvalid: Unreachable,
    http_req.SendErrorDetail_HttpUpgradeFailed: Unreachable,
    http_req.SendErrorDetail_HttpProtocolError: Unreachable,
    http_req.SendErrorDetail_HttpRequestCacheKeyInvalid: Unreachable,
    http_req.SendErrorDetail_HttpRequestUriInvalid: Unreachable,
    http_req.SendErrorDetail_InternalError: Unreachable,
    http_req.SendErrorDetail_TlsAlertReceived: Unreachable,
    http_req.SendErrorDetail_TlsProtocolError: Unreachable,
    http_req.SendErrorDetail_H2Error: Unreachable,
    http_req.SendErrorDetail_Extra: Unreachable,
    types.Error_GenericError: Unreachable,
    types.Error_InvalidArgument: Unreachable,
    types.Error_AuxiliaryError: Unreachable,
    types.Error_BufferLen: Unreachable,
    types.Error_Unsupported: Unreachable,
    types.Error_HttpInvalid: Unreachable,
    types.Error_HttpUser: Unreachable,
    types.Error_HttpIncomplete: Unreachable,
    types.Error_CannotRead: Unreachable,
    types.Error_HttpHeadTooLarge: Unreachable,
    types.Error_HttpInvalidStatus: Unreachable,
    types.Error_LimitExceeded: Unreachable,
}
