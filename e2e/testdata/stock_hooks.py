"""Two of python-socketio's clients, of an app behind hooks: the first says something, with an ack, and both hear it. It
answers what the ack was and what they heard."""

import json
import sys
import threading

import socketio

ask = json.loads(sys.stdin.readline())
heard = {}
all_heard = threading.Event()


def client(name):
    sio = socketio.Client(reconnection=False)
    heard[name] = []

    @sio.on("chat message")
    def chat_message(*args):
        heard[name].append(list(args))
        if all(heard.values()):
            all_heard.set()

    return sio


clients = [client("first"), client("second")]
for sio, url in zip(clients, ask["urls"]):
    sio.connect(url + "?tenant=t1", auth={"name": "ben"}, headers={"Cookie": ask["cookie"]}, transports=[ask["transport"]])
    sio.call("echo", {"file": b""})  # answered once the client is in the rooms that the app has named
ack = clients[0].call("chat message", ("hello", {"n": 1}))
echo = clients[0].call("echo", {"file": b"\x00\xff"})
refused = clients[0].call("forbidden", 1)
all_heard.wait(10)
print(json.dumps({"ack": ack, "echo": echo["file"].hex(), "refused": refused, "heard": heard}), flush=True)
for sio in clients:
    sio.disconnect()
