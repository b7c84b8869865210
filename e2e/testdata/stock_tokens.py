"""One of python-socketio's clients, with a token: it is given url, token and the next token, which it
shows when it is asked for one. It answers when it was asked, published again, or was closed."""

import json
import sys
import threading

import socketio

ask = json.loads(sys.stdin.readline())
sio = socketio.Client(reconnection=False)
ended = threading.Event()
asked = []
told = []


@sio.on("token_expires")
def token_expires(body):
    asked.append(body["expires"])
    return {"token": ask["next"]}


@sio.on("error_event")
def error_event(body):
    told.append(body["error"]["code"])


@sio.on("disconnect")
def disconnect(*_):
    ended.set()


try:
    sio.connect(ask["url"], auth={"token": ask["token"]}, transports=[ask["transport"]])
    joined = sio.call("join", {"room": "lobby"})
    ended.wait(ask["wait"])
    published = {} if ended.is_set() else sio.call("publish", {"room": "lobby", "data": 1})
    forbidden = {} if ended.is_set() else sio.call("publish", {"room": "elsewhere", "data": 1})
    print(json.dumps({"joined": joined, "asked": asked, "told": told, "ended": ended.is_set(), "published": published, "forbidden": forbidden}), flush=True)
    sio.disconnect()
except socketio.exceptions.ConnectionError as e:
    print(json.dumps({"refused": str(e)}), flush=True)
