"""A hub of PyPI's `aiosignalr`, which we did not write; the path is /hub."""

import asyncio
import sys

from aiosignalr.server import Hub, SignalRServer


class Chat(Hub):
    async def echo(self, text: str) -> str:
        return text


async def main():
    await SignalRServer(Chat).serve("127.0.0.1", int(sys.argv[1]), path="/hub")
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
