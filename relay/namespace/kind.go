package namespace

import (
	"bytes"
	"math"

	"setu/relay/limit"
	"setu/relay/socketio"
)

// hugePackets is for how many packets a CONNECT counts that is too large anyway, while it waits: who sends one is
// told so, and whoever sends another is a flooder, which is closed before much of it has been read.
const hugePackets = 300

// MostOf is what engine.Config asks for.
func MostOf(message []byte) int {
	if len(message) > 0 && socketio.Type(message[0]) == socketio.Connect {
		return maxAuth + maxConnectHead
	}
	return math.MaxInt
}

// KindOf returns what engine.Config asks for. event says of which kind an event is, by its name, which it does not keep.
func KindOf(event func(name []byte) limit.Kind) func(message []byte, size int) (k limit.Kind, n int) {
	return func(message []byte, size int) (limit.Kind, int) {
		if len(message) == 0 {
			return 0, 0
		}
		switch socketio.Type(message[0]) {
		case socketio.Connect:
			if size > maxAuth+maxConnectHead {
				return limit.Event, hugePackets
			}
			return limit.Event, 1
		case socketio.Disconnect, socketio.Ack, socketio.BinaryAck:
			return limit.Event, 1
		}
		p, err := socketio.ParseHead(message)
		if err != nil || p.Type != socketio.Event && p.Type != socketio.BinaryEvent {
			return 0, 0
		}
		_, name, begins := bytes.Cut(p.Data, []byte{'"'})
		name, _, ends := bytes.Cut(name, []byte{'"'})
		if !begins || !ends || bytes.IndexByte(name, '\\') >= 0 {
			return 0, 0
		}
		return event(name), 1
	}
}
