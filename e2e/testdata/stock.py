"""What both kinds of python-socketio's clients have in common here: a log, and bytes as text.

On the way to the test and back, bytes are {"$bytes": "00ff"}.
"""

import json
import time


def revive(text):
    def value(found):
        return bytes.fromhex(found["$bytes"]) if "$bytes" in found else found

    return json.loads(text, object_hook=value)


def plain(data):
    def text(value):
        if isinstance(value, bytes):
            return {"$bytes": value.hex()}
        raise TypeError(type(value))

    return json.dumps(data, default=text, separators=(",", ":"), ensure_ascii=False)


def flat(message):
    kept = {key: message[key] for key in ("room", "seq", "id", "offset")}
    return {**kept, "user": message["from"]["id"], "data": plain(message["data"])}


class Log:
    """What a client has seen. Entries may come from several threads."""

    def __init__(self):
        self.entries = []
        self.seats = {}  # room -> (seq, offset) to come back with
        self.user = None

    def note(self, kind, **more):
        self.entries.append({"at": time.time() * 1000, "kind": kind, **more})

    def taken(self):
        taken = self.entries[:]
        del self.entries[: len(taken)]
        return taken

    def welcomed(self, body):
        self.note("welcomed", note=body["relay"])
        self.user = body["user"]

    def heard(self, message):
        if message["seq"] > self.seats.get(message["room"], (0, ""))[0]:
            self.seats[message["room"]] = (message["seq"], message["offset"])
        self.note("received", message=flat(message))

    def joining(self, room):
        ask = {"room": room, "history": 100}
        if room in self.seats:
            ask["since"] = self.seats[room][1]
        self.note("joining", room=room, since=ask.get("since", ""))
        return ask

    def joined(self, ask, answer):
        if not answer["ok"]:
            self.note("refused", note=ask["room"] + ": " + json.dumps(answer))
            return answer
        messages = [flat(message) for message in answer["messages"]]
        seq = max([message["seq"] for message in messages], default=self.seats.get(ask["room"], (0, ""))[0])
        self.seats[ask["room"]] = (seq, answer["offset"])
        self.note("joined", room=ask["room"], since=ask.get("since", ""), recovered=answer["recovered"],
                  offset=answer["offset"], messages=messages)
        return {"ok": True, "count": answer["count"], "messages": messages}

    def publishing(self, room, id, data):
        message = {"room": room, "id": id, "user": self.user["id"], "data": data}
        self.note("publishing", message=message)
        return message

    def stored(self, message, answer):
        duplicate = answer.get("duplicate", False)
        self.note("stored", message={**message, "seq": answer["seq"], "offset": answer["offset"]}, duplicate=duplicate)
        return {"ok": True, "seq": answer["seq"], "offset": answer["offset"], "duplicate": duplicate}
