"""Many of python-socketio's asynchronous clients, which keep the order of what they hear. Told what
to do as stock_client.py is, and talks by itself when asked to.
"""

import asyncio
import json
import sys

import socketio
from stock import Log, flat, revive

clients = []


class Client(Log):
    async def start(self, url, auth, transports):
        self.seated, self.gone_now = asyncio.Event(), asyncio.Event()
        self.talking = None
        self.sio = sio = socketio.AsyncClient()
        sio.on("connect", self.connected)
        sio.on("connect_error", self.failed)
        sio.on("disconnect", self.gone)
        sio.on("welcome", self.let_in)
        sio.on("message", self.message)
        more = {"transports": transports} if transports else {}
        await sio.connect(url, auth=auth, **more)
        while not self.user:
            await asyncio.sleep(0.02)
        return self.user

    async def connected(self):
        self.gone_now.clear()
        self.note("connected", session=self.sio.eio.sid)
        for room in list(self.seats):
            await self.come_back(room)
        if not self.seats:
            self.seated.set()

    async def come_back(self, room):
        ask = self.joining(room)
        await self.sio.emit("join", ask, callback=lambda answer: self.back(ask, answer))

    def back(self, ask, answer):
        self.joined(ask, answer)
        if not answer["ok"] and answer["error"]["code"] == "unavailable":
            asyncio.ensure_future(self.try_again(ask["room"], self.sio.eio.sid))
            return
        self.seated.set()

    async def try_again(self, room, session):
        """A relay that can't know yet what was missed is asked again, by the same session: another comes back by itself."""
        await asyncio.sleep(0.2)
        if self.sio.eio.sid == session and not self.gone_now.is_set():
            await self.come_back(room)

    async def failed(self, error):
        self.note("failed", note=str(error))

    async def gone(self):
        self.note("gone")
        self.seated.clear()
        self.gone_now.set()

    async def let_in(self, body, offset):
        self.welcomed(body)

    async def message(self, body, offset):
        self.heard(body)

    async def ask(self, name, body):
        """None where the connection ends before the answer."""
        answered = asyncio.get_running_loop().create_future()
        await self.sio.emit(name, body, callback=lambda answer: answered.done() or answered.set_result(answer))
        gone = asyncio.ensure_future(self.gone_now.wait())
        await asyncio.wait([answered, gone], return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        return answered.result() if answered.done() else None

    async def join(self, room):
        # Taken down where the answer stands among the messages.
        body, done = self.joining(room), asyncio.get_running_loop().create_future()
        await self.sio.emit("join", body, callback=lambda answer: done.set_result(self.joined(body, answer)))
        return await done

    async def publish(self, room, id, data):
        while True:
            await self.seated.wait()
            message = self.publishing(room, id, data)
            try:
                answer = await self.ask("publish", {"room": room, "id": id, "data": revive(data)})
            except socketio.exceptions.BadNamespaceError:
                await asyncio.sleep(0.02)  # between two connections
                continue
            if answer and answer["ok"]:
                return self.stored(message, answer)
            if answer and answer["error"]["code"] not in ("unavailable", "not_joined"):
                return answer

    async def talk(self, room, every):
        n = 0
        while not self.hushed:
            n += 1
            await self.publish(room, f"talk-{n}", '{"n":%d}' % n)
            await asyncio.sleep(every / 1000)


async def do(ask):
    if ask["do"] == "connect":
        clients.append(Client())
        return await clients[-1].start(ask["url"], ask["auth"], ask.get("transports"))
    client = clients[ask["n"]]
    match ask["do"]:
        case "join":
            return await client.join(ask["room"])
        case "publish":
            return await client.publish(ask["room"], ask["id"], ask["data"])
        case "history":
            answer = await client.ask("history", {"room": ask["room"], "limit": 100})
            return {"messages": [flat(message) for message in answer["messages"]]}
        case "talk":
            client.hushed = False
            client.talking = asyncio.ensure_future(client.talk(ask["room"], ask["every"]))
        case "hush":
            client.hushed = True
            await client.talking
        case "state":
            return {"log": client.taken(), "connected": client.sio.connected and client.seated.is_set(),
                    "transport": client.sio.transport()}


async def main():
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(json.dumps(await do(json.loads(line))), flush=True)


asyncio.run(main())
