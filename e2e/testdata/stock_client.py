"""python-socketio as people use it, told what to do by lines of JSON.

Takes {"do": "connect" | "join" | "publish" | "heard" | "quit", ...} from standard input and
answers each with a line on standard output.
"""

import json
import sys
import threading

import socketio

client = socketio.Client()
lock = threading.Lock()
heard = {}  # seq -> how often, of the messages' text
last = {}  # room -> (seq, offset) to come back with
rejoins = []


def hear(message):
    with lock:
        heard.setdefault(message["seq"], []).append(message["data"])
        if message["seq"] > last.get(message["room"], (0, ""))[0]:
            last[message["room"]] = (message["seq"], message["offset"])


def joined(answer):
    for message in answer.get("messages", []):
        hear(message)
    return answer


def rejoined(answer):
    joined(answer)
    rejoins.append(answer["recovered"])


@client.event
def connect():
    with lock:
        rooms = dict(last)
    for room, (_, offset) in rooms.items():
        client.emit("join", {"room": room, "since": offset}, callback=rejoined)


# Events come on threads of their own, so their order is not to be relied upon here.
@client.on("message")
def message(body, offset):
    hear(body)


me = {}


@client.on("welcome")
def welcome(body, offset):
    me.update(body["user"])
    welcomed.set()


welcomed = threading.Event()


def do(ask):
    match ask["do"]:
        case "connect":
            client.connect(ask["url"], auth=ask["auth"], transports=["websocket"])
            welcomed.wait(10)
            return me
        case "join":
            return joined(client.call("join", {"room": ask["room"], "history": 100}))
        case "publish":
            return client.call("publish", {key: ask[key] for key in ("room", "id", "data")})
        case "heard":
            with lock:
                return {"heard": heard, "rejoins": rejoins, "connected": client.connected}
        case "quit":
            client.disconnect()
            return {}


for line in sys.stdin:
    print(json.dumps(do(json.loads(line))), flush=True)
