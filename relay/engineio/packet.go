// Package engineio is the codec of Engine.IO v4 (https://socket.io/docs/v4/engine-io-protocol/),
// without I/O.
//
// A session begins with the server's Open packet, whose data is a Handshake. From then on the
// server sends a Ping every pingInterval, and the client answers each with a Pong within
// pingTimeout. Both may send Messages at any time:
//
//	0{"sid":…}   server   Open
//	2            server   Ping
//	3            client   Pong
//	4hello       either   Message, text
//	<bytes>      either   Message, binary: a binary WebSocket frame without a type byte
//	2probe       client   on a second transport, answered with 3probe, completed with 5
//	1            either   Close
//
// Over WebSocket one packet is one frame. Over HTTP long-polling packets are joined by 0x1e, and a
// binary one is written as "b" followed by base64.
package engineio

import "errors"

// Type is the type of a packet. Its value is the byte on the wire.
type Type byte

// The packet types of Engine.IO v4.
const (
	Open    Type = '0'
	Close   Type = '1'
	Ping    Type = '2'
	Pong    Type = '3'
	Message Type = '4'
	Upgrade Type = '5'
	Noop    Type = '6'
)

var typeNames = [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

func (t Type) valid() bool { return Open <= t && t <= Noop }

func (t Type) String() string {
	if !t.valid() {
		return "unknown"
	}
	return typeNames[t-Open]
}

// Packet is one Engine.IO packet.
type Packet struct {
	Type   Type
	Binary bool   // a Message that is a binary frame
	Data   []byte // without the type byte; may be empty
}

// Errors of Parse and ParseText.
var (
	ErrEmpty  = errors.New("engineio: empty frame")
	ErrType   = errors.New("engineio: unknown packet type")
	ErrBase64 = errors.New("engineio: binary data is not base64")
)

// Parse parses the payload of one WebSocket frame. A binary frame is always a Message; the first
// byte of a text frame is its type. Data aliases frame, and is not checked to be valid UTF-8. The
// error is ErrEmpty or ErrType.
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

// Append appends p to dst as the payload of a WebSocket frame: a binary frame if p.Binary is set,
// else a text frame.
func (p Packet) Append(dst []byte) []byte {
	if !p.Binary {
		dst = append(dst, byte(p.Type))
	}
	return append(dst, p.Data...)
}
