"""``python -m tests.benchmarks.echo_server SOCKET``: answers each request with its params; what anyio alone can do."""

from __future__ import annotations

import sys

import anyio
import anyio.abc

from rund.protocol import NEED_DATA, SERVER, Connection, Request, encode_response


async def echo(client: anyio.abc.SocketStream) -> None:
    connection = Connection(SERVER)
    async with client:
        while True:
            try:
                connection.receive_data(await client.receive())
            except anyio.EndOfStream:
                return
            while (message := connection.next_message()) is not NEED_DATA:
                assert isinstance(message, Request)
                await client.send(encode_response(message.msgid, None, message.params))


async def main() -> None:
    listener = await anyio.create_unix_listener(sys.argv[1])
    async with listener:
        print("ready", flush=True)
        await listener.serve(echo)


if __name__ == "__main__":
    anyio.run(main)
