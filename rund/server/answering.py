"""Makes the bytes that answer a request, whatever comes of it."""

from __future__ import annotations

import logging

from rund.errors import InternalError, RundError, error_text
from rund.handlers.peer import Answerer, Peer
from rund.protocol.encoding import Packed, encode_response
from rund.protocol.messages import EncodingError, Request
from rund.server.gate import Gate

_log = logging.getLogger(__name__)
_A_TURN = 64 * 1024  # bytes in one piece, which to copy and send is worth a turn
_LONGEST_ERROR = 8192  # characters: what was wrong may be named in it, however long that was


async def answered(answerer: Answerer, peer: Peer, request: Request, most: int, gate: Gate) -> bytes:
    """The response to ``request``, of ``most`` bytes at most; a large one is made in a turn of its own."""
    try:
        result = await answerer.answer(peer, request)
        if _is_large(result):
            await gate.go_through()
        reply = encode_response(request.msgid, None, result)
        if len(reply) <= most:
            return reply
        _log.error("the answer to %.100r has %d bytes, and may have %d", request.method, len(reply), most)
        text = error_text(InternalError(f"the answer has {len(reply)} bytes, and may have {most}: ask for less"))
    except EncodingError as error:
        _log.exception("the answer to %.100r cannot be sent", request.method)
        text = error_text(InternalError("the answer cannot be sent; the daemon's log tells more"))
        _let_go(error)
    except RundError as error:
        text = error_text(error)
        _let_go(error)
    except Exception as error:  # noqa: BLE001 - logged, and told as a fault of rund
        _log.exception("%.100r failed by a fault of rund", request.method)
        text = error_text(InternalError("a fault of rund; the daemon's log tells more"))
        _let_go(error)
    return refusal(request.msgid, text)


def _is_large(result: object) -> bool:
    if isinstance(result, Packed):
        return len(result.data) > _A_TURN
    return isinstance(result, dict) and any(type(part) is bytes and len(part) > _A_TURN for part in result.values())


def refusal(msgid: int, text: str) -> bytes:
    """The response that says no; a text that is too long is cut in its middle, for its end says what to do."""
    if len(text) > _LONGEST_ERROR:
        half = _LONGEST_ERROR // 2
        text = f"{text[:half]} ... ({len(text) - 2 * half} characters) ... {text[-half:]}"
    return encode_response(msgid, text, None)


def _let_go(error: BaseException) -> None:
    """Drop what an error was raised from and through.

    Its frames hold the request and the error itself: a ring, which is freed when the collector comes by.  Refused
    requests of 8 MB each would pile up until then.
    """
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and each not in seen:
            seen.append(each)
            left += [each.__context__, each.__cause__]
    for each in seen:
        each.__traceback__ = each.__context__ = each.__cause__ = None
