"""Messages to bytes."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # it ships no types

from rund.protocol.messages import EncodingError


def encode_request(msgid: int, method: str, params: object) -> bytes:
    """A request as bytes.  Raises `EncodingError`."""
    return _encode([0, msgid, method, params])


def encode_response(msgid: int, error_text: str | None, result: object) -> bytes:
    """A response as bytes: the error ``"CODE: message"`` or, where it is None, the result.

    An error can always be encoded: what is not Unicode in it, as in a name of a file, is escaped.
    Raises `EncodingError` for a result.
    """
    if error_text is None:
        return _encode([1, msgid, None, result])
    return _encode([1, msgid, [0, error_text.encode(errors="backslashreplace").decode()], None])


def encode_notification(method: str, params: list[object]) -> bytes:
    """A notification as bytes.  Raises `EncodingError`."""
    return _encode([2, method, params])


def _encode(message: list[object]) -> bytes:
    try:
        encoded: bytes = msgpack.packb(message)
    except (TypeError, ValueError, OverflowError) as error:  # among ValueErrors: lone surrogates, too deep, circular
        raise EncodingError(f"a value cannot be sent: {error}") from error
    return encoded
