"""MessagePack-RPC without I/O; the command line loads it at its start, so it imports nothing slow."""

from rund.protocol.connection import CLIENT, SERVER, Connection
from rund.protocol.encoding import Packed, encode_notification, encode_request, encode_response, pack
from rund.protocol.limits import REPLY_LIMITS, REQUEST_LIMITS, Limits
from rund.protocol.messages import (
    CLOSED,
    LARGE,
    NEED_DATA,
    EncodingError,
    Notification,
    ProtocolError,
    Request,
    Response,
    Sentinel,
)

__all__ = [
    "CLIENT",
    "CLOSED",
    "LARGE",
    "NEED_DATA",
    "REPLY_LIMITS",
    "REQUEST_LIMITS",
    "SERVER",
    "Connection",
    "EncodingError",
    "Limits",
    "Notification",
    "Packed",
    "ProtocolError",
    "Request",
    "Response",
    "Sentinel",
    "encode_notification",
    "encode_request",
    "encode_response",
    "pack",
]
