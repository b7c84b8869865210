package engineio

import (
	"encoding/base64"
	"encoding/binary"
	"iter"
)

// Frame is what one event takes on the wire, encoded once for everyone who gets it: a text packet and the binary packets that
// belong to it, as the bytes of unmasked WebSocket frames (RFC 6455, 5.2) one after the other. Nobody writes to a frame once
// it is made.
type Frame struct {
	wire []byte
	head int // bytes of the text packet's WebSocket header
	end  int // of the text packet in wire
	pos  uint64
	tag  any
}

// maxHeader is the longest header of a server's frame: two bytes and a 64-bit length.
const maxHeader = 10

// First bytes of whole frames.
const (
	finText   = 0x81
	finBinary = 0x82
)

// NewFrame makes a frame of one text packet of about size bytes, which write appends to its argument, and of binary packets.
func NewFrame(size int, write func(dst []byte) []byte, attachments ...[]byte) *Frame {
	for _, a := range attachments {
		size += maxHeader + len(a)
	}
	b := write(make([]byte, maxHeader, maxHeader+size))
	n := len(b) - maxHeader
	var head [maxHeader]byte
	h := header(head[:0], finText, n)
	start := maxHeader - len(h)
	copy(b[start:], h)
	for _, a := range attachments {
		b = append(header(b, finBinary, len(a)), a...)
	}
	return &Frame{wire: b[start:], head: len(h), end: len(h) + n}
}

// At states the position, in the order of all rooms, of the message that f brings. It comes before f is shared.
func (f *Frame) At(pos uint64) *Frame {
	f.pos = pos
	return f
}

// Pos is the position of the message that f brings; 0 where it brings none.
func (f *Frame) Pos() uint64 { return f.pos }

// Mark says of f, to whoever is sent it, what is not to be read off the wire. It comes before f is shared.
func (f *Frame) Mark(tag any) *Frame {
	f.tag = tag
	return f
}

// Tag is what Mark said; nil for most.
func (f *Frame) Tag() any { return f.tag }

func header(dst []byte, first byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
}

// cutHeader reads what header wrote: the length, and what follows the header.
func cutHeader(b []byte) (n int, rest []byte) {
	switch b[1] {
	case 126:
		return int(binary.BigEndian.Uint16(b[2:])), b[4:]
	case 127:
		return int(binary.BigEndian.Uint64(b[2:])), b[10:]
	}
	return int(b[1]), b[2:]
}

// Wire returns the WebSocket frames.
func (f *Frame) Wire() []byte { return f.wire }

// Packet returns the text packet.
func (f *Frame) Packet() []byte { return f.wire[f.head:f.end] }

// Attachments yields the data of the binary packets.
func (f *Frame) Attachments() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := f.wire[f.end:]; len(rest) > 0; {
			n, b := cutHeader(rest)
			if !yield(b[:n:n]) {
				return
			}
			rest = b[n:]
		}
	}
}

// Size is what the frame takes in an outbox, in bytes.
func (f *Frame) Size() int { return len(f.wire) }

// AppendPayload writes f's packets to dst as the body of a poll has them, after what is there already.
func (f *Frame) AppendPayload(dst []byte) []byte {
	if f.end > 0 {
		dst = append(separate(dst), f.Packet()...)
	}
	for a := range f.Attachments() {
		dst = base64.StdEncoding.AppendEncode(append(separate(dst), binaryMark), a)
	}
	return dst
}

func separate(dst []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, separator)
	}
	return dst
}

// NewMessage makes a frame of one message.
func NewMessage(data []byte, isBinary bool) *Frame {
	if !isBinary {
		return NewFrame(len(data)+1, func(dst []byte) []byte { return append(append(dst, byte(Message)), data...) })
	}
	b := append(header(make([]byte, 0, maxHeader+len(data)), finBinary, len(data)), data...)
	return &Frame{wire: b}
}
