"""python-socketio as people use it, told what to do by lines of JSON.

Takes {"do": "connect" | "join" | ..., "n": which client, ...} from standard input and answers each
with a line on standard output.
"""

import json
import sys
import threading

import socketio
from stock import Log, flat, revive

# The client starts a thread for each packet, the parts of a binary event included, and hopes that
# they run in the order in which they were started: so let none be interrupted for long.
sys.setswitchinterval(5)

clients = []


class Client(Log):
    def __init__(self, url, auth, transports):
        super().__init__()
        self.seated = threading.Event()
        self.welcome = threading.Event()
        self.sio = sio = socketio.Client()
        sio.on("connect", self.connected)
        sio.on("connect_error", lambda error: self.note("failed", note=str(error)))
        sio.on("disconnect", self.gone)
        sio.on("welcome", self.let_in)
        sio.on("message", lambda body, offset: self.heard(body))
        more = {"transports": transports} if transports else {}
        sio.connect(url, auth=auth, **more)
        self.welcome.wait(20)

    def connected(self):
        self.note("connected", session=self.sio.eio.sid)
        if not self.seats:
            self.seated.set()
        for room in list(self.seats):
            ask = self.joining(room)
            self.sio.emit("join", ask, callback=lambda answer, ask=ask: (self.joined(ask, answer), self.seated.set()))

    def gone(self):
        self.seated.clear()
        self.note("gone")

    def let_in(self, body, offset):
        self.welcomed(body)
        self.welcome.set()


def do(ask):
    if ask["do"] == "connect":
        clients.append(Client(ask["url"], ask["auth"], ask.get("transports")))
        return clients[-1].user
    client = clients[ask["n"]]
    match ask["do"]:
        case "join":
            body = client.joining(ask["room"])
            return client.joined(body, client.sio.call("join", body, timeout=20))
        case "publish":
            client.seated.wait(20)
            message = client.publishing(ask["room"], ask["id"], ask["data"])
            body = {"room": ask["room"], "id": ask["id"], "data": revive(ask["data"])}
            answer = client.sio.call("publish", body, timeout=20)
            return client.stored(message, answer) if answer["ok"] else answer
        case "history":
            answer = client.sio.call("history", {"room": ask["room"], "limit": 100}, timeout=20)
            return {"messages": [flat(message) for message in answer["messages"]]}
        case "state":
            return {"log": client.taken(), "connected": client.sio.connected and client.seated.is_set(),
                    "transport": client.sio.transport()}


for line in sys.stdin:
    print(json.dumps(do(json.loads(line))), flush=True)
