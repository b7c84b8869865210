// Package engineio is the codec of Engine.IO v4 (https://socket.io/docs/v4/engine-io-protocol/), without I/O.
//
// A session begins with the server's Open packet, whose data is a Handshake. From then on the server sends a Ping every
// pingInterval and the client answers each with a Pong within pingTimeout; both send Messages whenever they like:
//
//	0{"sid":…}   server   Open
//	2            server   Ping
//	3            client   Pong
//	4hello       either   Message, text
//	<bytes>      either   Message, binary: a binary WebSocket frame without a type byte
//	2probe       client   on a second transport, answered with 3probe, completed with 5
//	1            either   Close
//
// Over WebSocket one packet is one frame. Over HTTP long-polling packets are joined by 0x1e, and a binary one is written as
// "b" and base64.
package engineio

import "errors"

// Type says what a packet is. Its value is the byte on the wire.
type Type byte

// The packets of Engine.IO v4.
const (
	Open    Type = '0'
	Close   Type = '1'
	Ping    Type = '2'
	Pong    Type = '3'
	Message Type = '4'
	Upgrade Type = '5'
	Noop    Type = '6'
)

var names = [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

func (t Type) valid() bool { return Open <= t && t <= Noop }

func (t Type) String() string {
	if !t.valid() {
		return "unknown"
	}
	return names[t-Open]
}

// Packet is one Engine.IO packet.
type Packet struct {
	Type   Type
	Binary bool   // a Message that came as, or goes as, a binary frame
	Data   []byte // what follows the type byte; may be empty
}

// What Parse and ParseText may find wrong.
var (
	ErrEmpty  = errors.New("engineio: empty frame")
	ErrType   = errors.New("engineio: unknown packet type")
	ErrBase64 = errors.New("engineio: binary data is not base64")
)

// Parse reads the payload of one WebSocket frame. A binary frame is always a Message; of a text frame the first byte is
// the type. Data aliases frame. Whether text is valid UTF-8 is for the reader of Data to check.
func Parse(frame []byte, binary bool) (Packet, error) {
	if binary {
		return Packet{Type: Message, Binary: true, Data: frame}, nil
	}
	if len(frame) == 0 {
		return Packet{}, ErrEmpty
	}
	t := Type(frame[0])
	if !t.valid() {
		return Packet{}, ErrType
	}
	return Packet{Type: t, Data: frame[1:]}, nil
}

// Append writes p to dst as the payload of a WebSocket frame: a binary one where p.Binary is set, else a text one.
func (p Packet) Append(dst []byte) []byte {
	if !p.Binary {
		dst = append(dst, byte(p.Type))
	}
	return append(dst, p.Data...)
}
