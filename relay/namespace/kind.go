package namespace

import (
	"bytes"

	"setu/relay/limit"
	"setu/relay/socketio"
)

// KindOf returns what tells a message's kind by its beginning, and does not if that would take more of it, or
// there is none: event says of which kind an event is, by its name.
func KindOf(event func(name string) limit.Kind) func(message []byte) (k limit.Kind, ok bool) {
	return func(message []byte) (limit.Kind, bool) {
		if len(message) == 0 {
			return 0, false
		}
		switch socketio.Type(message[0]) {
		case socketio.Connect, socketio.Disconnect, socketio.Ack, socketio.BinaryAck:
			return limit.Event, true
		}
		p, err := socketio.ParseHead(message)
		if err != nil {
			return 0, false
		}
		_, name, begins := bytes.Cut(p.Data, []byte{'"'})
		name, _, ends := bytes.Cut(name, []byte{'"'})
		if !begins || !ends || bytes.IndexByte(name, '\\') >= 0 {
			return 0, false
		}
		return event(string(name)), true
	}
}
