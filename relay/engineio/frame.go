package engineio

import (
	"encoding/base64"
	"encoding/binary"
	"iter"
	"sync"
)

// Frame is one event as it is sent, encoded once for all sessions that receive it: a text packet
// and the binary packets that belong to it, as consecutive unmasked WebSocket frames (RFC 6455,
// section 5.2). It is immutable once it is shared.
type Frame struct {
	wire      []byte
	headerLen int // length in bytes of the text packet's WebSocket header
	packetEnd int // offset in wire of the text packet's end; 0: no text packet
	pos       uint64
	tag       any

	form     Form                // in which it can be had, too; 0: in no other
	makeForm func(*Frame) *Frame // nil: the frame itself will do
	formed   variant
	deflated variant
}

// Form is another form in which some sessions want frames: what they say is the same. Forms add up.
type Form uint8

// Forms of frames. None has two of them.
const (
	Compact Form = 1 << iota // without what follows from the rest
	Object                   // a named event as the object that lists have of it
)

// variant is what some sessions are sent in a frame's place. It is made once, when the first of them is.
type variant struct {
	once  sync.Once
	frame *Frame
}

// maxHeader is the longest header of a server's frame: two bytes and a 64-bit length.
const maxHeader = 10

// First bytes of frames that are not fragmented (FIN and opcode).
const (
	finText   = 0x81
	finBinary = 0x82
)

// NewFrame returns a frame of one text packet, which write appends to its argument, and of a binary
// packet for each attachment. Size is an estimate of the text packet's bytes.
func NewFrame(size int, write func(dst []byte) []byte, attachments ...[]byte) *Frame {
	for _, a := range attachments {
		size += maxHeader + len(a)
	}
	b := write(make([]byte, maxHeader, maxHeader+size))
	n := len(b) - maxHeader
	var head [maxHeader]byte
	h := appendHeader(head[:0], finText, n)
	start := maxHeader - len(h)
	copy(b[start:], h)
	for _, a := range attachments {
		b = append(appendHeader(b, finBinary, len(a)), a...)
	}
	return &Frame{wire: b[start:], headerLen: len(h), packetEnd: len(h) + n}
}

// At sets the position, in the order of all rooms, of the message in f, and returns f. It must be
// called before f is shared.
func (f *Frame) At(pos uint64) *Frame {
	f.pos = pos
	return f
}

// Pos returns the position of the message in f, or 0 if there is none.
func (f *Frame) Pos() uint64 { return f.pos }

// Mark attaches to f what its receivers must know and its bytes don't say, and returns f. It must
// be called before f is shared.
func (f *Frame) Mark(tag any) *Frame {
	f.tag = tag
	return f
}

// Tag returns the argument of Mark, or nil if that was not called.
func (f *Frame) Tag() any { return f.tag }

// WithForm sets how the frame is made in another form, and returns f. It must be called before f is
// shared.
func (f *Frame) WithForm(form Form, make func(*Frame) *Frame) *Frame {
	f.form, f.makeForm = form, make
	return f
}

// In returns the frame for a session that wants these forms: f itself, if it has none of them.
func (f *Frame) In(forms Form) *Frame {
	if f.form&forms == 0 {
		return f
	}
	f.formed.once.Do(func() { f.formed.frame = f.makeForm(f) })
	return f.formed.frame
}

// appendHeader appends a WebSocket header for n bytes of payload.
func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
}

// cutHeader parses a header that appendHeader wrote. It returns the payload's length, and what
// follows the header.
func cutHeader(b []byte) (n int, rest []byte) {
	switch b[1] {
	case 126:
		return int(binary.BigEndian.Uint16(b[2:])), b[4:]
	case 127:
		return int(binary.BigEndian.Uint64(b[2:])), b[10:]
	}
	return int(b[1]), b[2:]
}

// Wire returns the WebSocket frames. The caller must not change them.
func (f *Frame) Wire() []byte { return f.wire }

// Packet returns the text packet, with its type byte; it is empty if there is none.
func (f *Frame) Packet() []byte { return f.wire[f.headerLen:f.packetEnd] }

// Attachments yields the data of the binary packets, in order.
func (f *Frame) Attachments() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := f.wire[f.packetEnd:]; len(rest) > 0; {
			n, b := cutHeader(rest)
			if !yield(b[:n:n]) {
				return
			}
			rest = b[n:]
		}
	}
}

// Packets returns the number of f's packets.
func (f *Frame) Packets() (n int) {
	if f.packetEnd > 0 {
		n++
	}
	for range f.Attachments() {
		n++
	}
	return n
}

// Size returns the number of bytes that f takes in an outbox.
func (f *Frame) Size() int { return len(f.wire) }

// AppendPayload appends f's packets to the payload of an HTTP response in dst, after those that are
// there already.
func (f *Frame) AppendPayload(dst []byte) []byte {
	if f.packetEnd > 0 {
		dst = append(appendSeparator(dst), f.Packet()...)
	}
	for a := range f.Attachments() {
		dst = base64.StdEncoding.AppendEncode(append(appendSeparator(dst), binaryMark), a)
	}
	return dst
}

func appendSeparator(dst []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, separator)
	}
	return dst
}

// NewMessage returns a frame of one Message packet.
func NewMessage(data []byte, isBinary bool) *Frame {
	if !isBinary {
		return NewFrame(len(data)+1, func(dst []byte) []byte { return append(append(dst, byte(Message)), data...) })
	}
	b := append(appendHeader(make([]byte, 0, maxHeader+len(data)), finBinary, len(data)), data...)
	return &Frame{wire: b}
}
