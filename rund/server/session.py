"""One client: its requests, answered in the order sent, and what runs beside them.

Rules:
- Requests take effect in the order sent.  Those whose method waits run beside the others and hold up none.
- What was begun is finished, whether or not the client is still there to hear of it; what waits ends with the client.
- The end of the client's stream is the end of the connection: what was received before it is answered first, except
  by methods that wait.
- A stream that a request starts begins after that request's answer is sent.
- What is no request ends the connection if it is malformed, or a response (the daemon asks nothing); notifications
  are ignored.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from rund.errors import FullError, InternalError, RundError, error_text
from rund.handlers.peer import Answerer
from rund.protocol.connection import SERVER, Connection
from rund.protocol.encoding import encode_notification, encode_response
from rund.protocol.messages import CLOSED, NEED_DATA, EncodingError, ProtocolError, Request
from rund.server.limits import ServerLimits
from rund.server.stream import RECEIVE_BYTES, PeerGoneError, Stream

logger = logging.getLogger(__name__)
_MESSAGES_A_TURN = 32  # then other clients have theirs


@dataclass(slots=True)
class Held:
    """What all clients together hold of unfinished messages, in bytes."""

    unfinished: int = 0


class Session:
    """One client's connection; to handlers, a `rund.handlers.peer.Peer`."""

    def __init__(self, stream: Stream, answerer: Answerer, limits: ServerLimits, held: Held) -> None:
        self._stream = stream
        self._answerer = answerer
        self._limits = limits
        self._held = held
        self._connection = Connection(SERVER, limits.message)
        self._unfinished = 0  # this client's part of ``held``
        self._in_flight = 0
        self._numbers = itertools.count(1)
        self._streams: dict[int, anyio.CancelScope] = {}
        self._to_start: list[tuple[int, Callable[[], Awaitable[None]]]] | None = None  # a list within a request
        self._tasks: anyio.abc.TaskGroup

    async def serve(self) -> None:
        """Answer until either side ends it; closes the stream."""
        try:
            async with anyio.create_task_group() as self._tasks:
                try:
                    await self._take_messages()
                except ProtocolError as error:
                    logger.info("a client sent what it may not: %s", error.message)
                    self._stream.send_last(encode_notification("error", [error_text(error)]))
                except PeerGoneError as error:
                    logger.info("a client %s", error)
                finally:
                    self._tasks.cancel_scope.cancel()
        finally:
            self._hold(0)
            self._stream.close()

    async def notify(self, method: str, params: list[Any]) -> None:
        """Send a notification; returns when it is written.  Raises `PeerGoneError`, `EncodingError`."""
        await anyio.lowlevel.checkpoint()  # a client that reads fast holds up no other, and a stream can be ended
        await self._stream.send(encode_notification(method, params))

    def start(self, stream: Callable[[], Awaitable[None]]) -> int:
        """Run ``stream`` beside the requests, for as long as the connection lives; answers its number.

        Raises `FullError` if the connection has as many as it may.
        """
        if len(self._streams) >= self._limits.streams:
            raise FullError(
                f"this connection has {len(self._streams)} subscriptions and may have no more: end one first"
            )
        number = next(self._numbers)
        self._streams[number] = anyio.CancelScope()
        if self._to_start is None:
            self._tasks.start_soon(self._run_stream, number, stream)
        else:
            self._to_start.append((number, stream))
        return number

    def cancel(self, number: int | None) -> int:
        """End stream ``number`` (None: all of this connection); answers how many were ended."""
        numbers = list(self._streams) if number is None else [number]
        scopes = [self._streams.pop(each) for each in numbers if each in self._streams]
        for scope in scopes:
            scope.cancel()
        return len(scopes)

    async def _take_messages(self) -> None:
        connection = self._connection
        deadline = math.inf
        while True:
            data = await self._receive(deadline)
            connection.receive_data(data)
            taken = 0
            while (message := connection.next_message()) is not NEED_DATA:
                if message is CLOSED:
                    return
                if isinstance(message, Request):
                    await self._take_request(message)
                taken += 1
                if taken % _MESSAGES_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
            self._hold(connection.buffered)
            if not connection.has_partial:
                deadline = math.inf
            elif taken or deadline == math.inf:
                deadline = anyio.current_time() + self._limits.unfinished_seconds
            if len(data) == RECEIVE_BYTES:
                await anyio.lowlevel.checkpoint()

    async def _receive(self, deadline: float) -> bytes:
        if deadline == math.inf:
            return await self._stream.receive()
        with anyio.CancelScope(deadline=deadline):
            return await self._stream.receive()
        raise ProtocolError(f"a message was not finished within {self._limits.unfinished_seconds:g} s")

    def _hold(self, unfinished: int) -> None:
        self._held.unfinished += unfinished - self._unfinished
        self._unfinished = unfinished
        if unfinished and self._held.unfinished > self._limits.unfinished_bytes:
            raise ProtocolError("the daemon holds too much of unfinished messages: send this one again later")

    async def _take_request(self, request: Request) -> None:
        if not self._answerer.waits(request.method, request.params):
            self._to_start = []
            with anyio.CancelScope(shield=True):
                reply = await self._reply(request)
            await self._stream.send(reply)
            for number, stream in self._to_start:
                self._tasks.start_soon(self._run_stream, number, stream)
            self._to_start = None
        elif self._in_flight >= self._limits.in_flight:
            full = FullError(
                f"{self._in_flight} requests of this connection wait, and no more may: send it again later"
            )
            await self._stream.send(encode_response(request.msgid, error_text(full), None))
        else:
            self._in_flight += 1
            self._tasks.start_soon(self._answer_waiting, request)

    async def _answer_waiting(self, request: Request) -> None:
        try:
            await self._stream.send(await self._reply(request))
        except PeerGoneError as error:
            self._end(error)
        finally:
            self._in_flight -= 1

    async def _run_stream(self, number: int, stream: Callable[[], Awaitable[None]]) -> None:
        scope = self._streams.get(number)
        if scope is None:  # ended before it began
            return
        try:
            with scope:
                await stream()
        except PeerGoneError as error:
            self._end(error)
        except Exception:
            logger.exception("a subscription ended by a fault of rund; its connection is closed")
            self._tasks.cancel_scope.cancel()
        finally:
            self._streams.pop(number, None)

    def _end(self, error: PeerGoneError) -> None:
        logger.info("a client %s", error)
        self._tasks.cancel_scope.cancel()

    async def _reply(self, request: Request) -> bytes:
        """The encoded answer, whatever comes of the request."""
        try:
            result = await self._answerer.answer(self, request.method, request.params)
            return self._encoded(request.msgid, result)
        except EncodingError:
            logger.exception("the answer to %.100r cannot be sent", request.method)
            error: RundError = InternalError("the answer cannot be sent; the daemon's log tells more")
        except RundError as raised:
            error = raised
        except Exception:
            logger.exception("%.100r failed by a fault of rund", request.method)
            error = InternalError("a fault of rund; the daemon's log tells more")
        return encode_response(request.msgid, error_text(error), None)

    def _encoded(self, msgid: int, result: object) -> bytes:
        reply = encode_response(msgid, None, result)
        if len(reply) > self._limits.reply_bytes:
            raise EncodingError(f"it has {len(reply)} bytes, and may have {self._limits.reply_bytes}")
        return reply
