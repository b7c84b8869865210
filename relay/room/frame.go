package room

import "encoding/binary"

// Frame is one Engine.IO text packet, encoded once for everyone who gets it: the bytes of an unmasked WebSocket text frame
// (RFC 6455, 5.2), whose payload is the packet. Nobody writes to a frame once it is made.
type Frame struct {
	wire []byte
	head int // bytes of the WebSocket header
}

// maxHeader is the longest header of a server's frame: two bytes and a 64-bit length.
const maxHeader = 10

// NewFrame makes a frame of a packet that write appends to its argument.
func NewFrame(size int, write func(dst []byte) []byte) *Frame {
	b := write(make([]byte, maxHeader, maxHeader+size))
	n := len(b) - maxHeader
	var head [maxHeader]byte
	h := header(head[:0], n)
	b = b[maxHeader-len(h):]
	copy(b, h)
	return &Frame{wire: b, head: len(h)}
}

func header(dst []byte, n int) []byte {
	const finText = 0x81
	switch {
	case n < 126:
		return append(dst, finText, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, finText, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, finText, 127), uint64(n))
}

// Wire returns the WebSocket frame.
func (f *Frame) Wire() []byte { return f.wire }

// Packet returns the Engine.IO packet.
func (f *Frame) Packet() []byte { return f.wire[f.head:] }

// Size is what the frame takes in an outbox, in bytes.
func (f *Frame) Size() int { return len(f.wire) }
