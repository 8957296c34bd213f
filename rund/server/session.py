"""One client: its requests, answered in the order sent, and what runs beside them.

Rules:
- Requests take effect in the order sent.  Those whose method waits run beside the others and hold up none.
- What was begun is finished, whether or not the client is still there to hear of it; what waits ends with the client.
- The end of the client's stream is the end of the connection: what was received before it is answered first, except
  by methods that wait.
- A stream that a request starts begins after that request's answer is sent.
- A client that does not read what it was answered is answered no further, until it is dropped at its deadline.
- All that is held for the client stands in its account.
- What is no request ends the connection if it is malformed, or a response (the daemon asks nothing); notifications
  are ignored.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from rund.errors import FullError, RundError, error_text
from rund.handlers.peer import Answerer
from rund.protocol.connection import SERVER, Connection
from rund.protocol.encoding import encode_notification, encode_response
from rund.protocol.messages import CLOSED, LARGE, NEED_DATA, Notification, ProtocolError, Request
from rund.server.account import Held, Ledger
from rund.server.answering import answered, refusal
from rund.server.asking import Asking
from rund.server.gate import Gate
from rund.server.letting_go import let_go
from rund.server.limits import ServerLimits
from rund.server.stream import RECEIVE_BYTES, PeerGoneError, Stream
from rund.server.subscriptions import Subscriptions
from rund.store.askers import Use, asker

logger = logging.getLogger(__name__)
# What one client may take at once of the time of all, about a millisecond of it.
_MESSAGES_A_TURN = 8
_BYTES_A_TURN = 2048  # of which each may be a value
_HOLDS_A_TURN = 16 * 1024


class Session:
    """One client's connection."""

    def __init__(self, stream: Stream, answerer: Answerer, limits: ServerLimits, *, ledger: Ledger, gate: Gate) -> None:
        self.turn = anyio.Lock(fast_acquire=True)  # to make an answer and send it
        self._stream = stream
        self._answerer = answerer
        self._limits = limits
        self._gate = gate
        self._account = ledger.open(self._drop)
        self._connection = Connection(SERVER, limits.message, large=limits.large_bytes)
        self._in_flight = 0
        self.subscriptions = Subscriptions(self._account, limits.streams, self._end)
        self._tasks: anyio.abc.TaskGroup
        self._reading = anyio.CancelScope()
        self._answering = False  # a request that does not wait

    async def serve(self) -> None:
        """Answer until either side ends it; who made the stream closes it."""
        asker.set(Use(time.monotonic()))  # also for what is begun within
        try:
            async with anyio.create_task_group() as self._tasks:
                try:
                    with self._reading:
                        await self._take_messages()
                except ProtocolError as error:
                    logger.info("a client sent what it may not: %s", error.message)
                    self._stream.send_last(encode_notification("error", [error_text(error)]))
                    error.__traceback__ = None  # the connection keeps the error, and the traceback the connection
                except PeerGoneError as error:
                    logger.info("a client %s", error)
                if self._in_flight > _MESSAGES_A_TURN:  # to end them is work as well
                    await self._gate.go_through()
                if self._in_flight or self.subscriptions:
                    self._tasks.cancel_scope.cancel()
        finally:
            self._account.close()
            # What knows each other would stay until the collector comes by, which holds up all.
            del self.subscriptions, self._tasks

    def has_left(self) -> bool:
        """Whether the client has closed its end."""
        return self._stream.has_left()

    async def notify(self, method: str, params: list[Any]) -> None:
        """Send a notification; returns when it is written.  Raises `PeerGoneError`, `EncodingError`."""
        await anyio.lowlevel.checkpoint()  # a client that reads fast holds up no other, and a stream can be ended
        await self._send(encode_notification(method, params), Asking(self))

    async def _send(self, message: bytes, asking: Asking) -> None:
        """Write ``message``, in the turn of ``asking``."""
        try:
            await asking.turn()
            if self._stream.begin(message):
                with self._account.holding(Held.UNREAD, len(message)):
                    await self._stream.finish()
        finally:
            asking.pass_turn()

    async def _take_messages(self) -> None:
        deadline = math.inf
        while True:
            data = await self._receive(deadline)
            taken = await self._take_data(data)
            if not data:
                return
            if not self._connection.has_partial:
                deadline = math.inf
            elif taken or deadline == math.inf:
                deadline = anyio.current_time() + self._limits.unfinished_seconds
            if len(data) == RECEIVE_BYTES:
                await self._gate.go_through()

    async def _receive(self, deadline: float) -> bytes:
        if deadline == math.inf:
            return await self._stream.receive()
        with anyio.CancelScope(deadline=deadline):
            return await self._stream.receive()
        raise ProtocolError(f"a message was not finished within {self._limits.unfinished_seconds:g} s")

    async def _take_data(self, data: bytes) -> int:
        """Take the messages that ``data`` ends; answers how many."""
        taken = 0
        begin, end = 0, -1
        while end < len(data):
            end = begin + self._connection.skips + _BYTES_A_TURN
            self._connection.receive_data(data[begin:end])
            begin = end
            self._account.set(Held.UNFINISHED, self._connection.buffered)
            taken = await self._take_whole(taken)
            self._account.set(Held.UNFINISHED, self._connection.buffered)
            if self._connection.holds > _HOLDS_A_TURN:
                await self._gate.go_through()
        return taken

    async def _take_whole(self, taken: int) -> int:
        """Take the messages that are whole; answers how many have been taken with the ``taken`` before."""
        while (message := self._connection.next_message()) not in (NEED_DATA, CLOSED):
            taken += 1
            if message is LARGE:
                await self._take_large()
            elif isinstance(message, Request):
                await self._take_request(message)
                if message.holds > _HOLDS_A_TURN:
                    await self._gate.go_through()
            if taken % _MESSAGES_A_TURN == 0:
                await self._gate.go_through()
        return taken

    async def _take_large(self) -> None:
        """Decode and answer the large message that is whole, while no other client's is."""
        asking = Asking(self, self._connection.holds)
        await self._has_read()
        async with self._gate.large_message():
            # Only now: until it is decoded it is no more than its bytes, which are counted already.
            with self._account.holding(Held.ANSWERED, self._connection.holds):
                await self._gate.decode(self._connection.decode())
                message = self._connection.next_message()
                reply = None
                if isinstance(message, Request):
                    if self._answerer.waits(message):
                        reply = self._begin_waiting(message)
                    else:
                        reply = await self._answer(asking, message)
                values = [message.params] if isinstance(message, Request | Notification) else []
                del message
                with anyio.CancelScope(shield=True):  # what was answered is sent yet, also when all ends
                    for _ in let_go(values):
                        await anyio.lowlevel.checkpoint()
        if reply is not None:
            await self._send(reply, asking)
        self.subscriptions.begin(self._tasks)

    async def _has_read(self) -> None:
        """Wait until the client has taken all that it was answered.

        The turn itself is not kept while a request is carried out: what waits, and events, need not wait for it.
        """
        async with self.turn:
            pass

    async def _take_request(self, request: Request) -> None:
        kept = self._answerer.kept(request)
        if kept is not None:
            await self._send(encode_response(request.msgid, None, kept), Asking(self))
        elif self._answerer.waits(request):
            refused = self._begin_waiting(request)
            if refused is not None:
                await self._send(refused, Asking(self))
        else:
            await self._has_read()
            asking = Asking(self, request.holds)
            with self._account.holding(Held.ANSWERED, request.holds):
                reply = await self._answer(asking, request)
            await self._send(reply, asking)
            self.subscriptions.begin(self._tasks)

    async def _answer(self, asking: Asking, request: Request) -> bytes:
        """The answer to a request that does not wait: it is carried out, whatever becomes of the client."""
        self._answering = True
        with anyio.CancelScope(shield=True):
            reply = await answered(self._answerer, asking, request, self._limits.reply_bytes, self._gate)
        self._answering = False
        return reply

    def _begin_waiting(self, request: Request) -> bytes | None:
        """Answer ``request`` beside the others; answers its refusal if too many wait."""
        if self._in_flight >= self._limits.in_flight:
            full = f"{self._in_flight} requests of this connection wait, and no more may: send it again later"
            return refusal(request.msgid, error_text(FullError(full)))
        try:
            self._account.hold(Held.WAITING, request.holds)
        except FullError as error:
            return refusal(request.msgid, error_text(error))
        self._in_flight += 1
        self._tasks.start_soon(self._answer_waiting, request)
        return None

    async def _answer_waiting(self, request: Request) -> None:
        asking = Asking(self, request.holds)
        try:
            reply = await answered(self._answerer, asking, request, self._limits.reply_bytes, self._gate)
            await self._send(reply, asking)
        except PeerGoneError as error:
            self._end(error)
        except anyio.get_cancelled_exc_class():
            # It ends here and now, as it was told to.  A task that ends by the error leaves a ring to the collector.
            if anyio.current_effective_deadline() != -math.inf:
                logger.exception("a request that waits ended by a stray cancellation; its connection is closed")
                self._end(None)
        finally:
            asking.pass_turn()
            self._account.release(Held.WAITING, request.holds)
            self._in_flight -= 1

    def _end(self, error: PeerGoneError | RundError | None) -> None:
        if isinstance(error, RundError):
            logger.warning("a subscription could not go on: %s", error.message)
            self._stream.send_last(encode_notification("error", [error_text(error)]))
        elif error is not None:
            logger.info("a client %s", error)
        if self._answering:  # that is finished, and what waits need not wait for it
            self._tasks.cancel_scope.cancel()
        else:
            self._reading.cancel()

    def _drop(self, error: FullError) -> None:
        """The ledger has chosen this client."""
        logger.warning("a client was dropped: %s", error.message)
        self._stream.send_last(encode_notification("error", [error_text(error)]))
        self._tasks.cancel_scope.cancel()
