"""A server on PyPI's `websockets`, which we did not write. It says what feed.cjs says."""

import asyncio
import json
import secrets
import sys
import time

from websockets.asyncio.server import serve

height = 0x1B4


async def ticks(socket, fault):
    sequence = 0
    while True:
        await asyncio.sleep(0.04)
        sequence += 1
        if fault == "stops" and sequence > 3:
            await socket.wait_closed()
        if fault == "gap" and sequence == 4:
            sequence = 6
        number = 3 if fault == "repeats" and sequence == 4 else sequence
        at = time.time_ns() - (3600 * 10**9 if fault == "old" else 0)
        await socket.send(json.dumps({"type": "tick", "sequence": number, "at": at}))


async def chain(socket, fault):
    global height
    async for message in socket:
        if fault != "stuck":
            height += 1
        answer = {"jsonrpc": "2.0", "id": json.loads(message)["id"], "result": hex(height)}
        await socket.send(json.dumps(answer))


async def login(socket, _fault):
    session = secrets.token_hex(12) + '"\\'
    missed = 0

    async def heartbeat():
        nonlocal missed
        while True:
            await asyncio.sleep(0.03)
            if missed > 10:
                await socket.close(1008, "no heartbeat")
            missed += 1
            await socket.send("2")

    async def answer(count):
        await asyncio.sleep(0.05)
        await socket.send(json.dumps({"type": "answer", "count": count, "for": session}))

    tasks = {asyncio.create_task(heartbeat())}
    async for message in socket:
        if message == "3":
            missed = 0
            continue
        value = json.loads(message)
        if value["type"] == "login":
            await socket.send(json.dumps({"type": "welcome", "session": session, "number": 17}))
        elif value["session"] != session or value["number"] != 17:
            await socket.close(4401, "Unauthorized")
        else:
            tasks.add(asyncio.create_task(answer(value["count"])))
    for task in tasks:
        task.cancel()


async def talk(socket):
    _, what, *fault = socket.request.path.split("/")
    await {"ticks": ticks, "chain": chain, "login": login}[what](socket, fault[0] if fault else "")


async def main():
    async with serve(talk, "127.0.0.1", int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
