// Package wire is what a client of a relay says and hears, as bytes: frames of WebSocket (RFC 6455), packets
// of Engine.IO and Socket.IO in them, and in those the stamps by which a load generator knows its messages again.
// It is the client's end alone, does no I/O, and shares no code with the relay that it measures.
package wire

import "encoding/binary"

// Opcodes of frames.
const (
	Text  = 0x1
	Close = 0x8
	Ping  = 0x9
	Pong  = 0xA
)

// Frame is one frame, of which Payload is as it came: clients' are masked.
type Frame struct {
	Op      byte
	Final   bool
	Masked  bool
	Mask    [4]byte
	Payload []byte
}

// Next takes the first frame from b, if it is there whole.
func Next(b []byte) (f Frame, rest []byte, ok bool) {
	if len(b) < 2 {
		return f, b, false
	}
	f.Final, f.Op, f.Masked = b[0]&0x80 != 0, b[0]&0xf, b[1]&0x80 != 0
	length, at := uint64(b[1]&0x7f), 2
	switch {
	case length == 126 && len(b) >= 4:
		length, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, at = binary.BigEndian.Uint64(b[2:]), 10
	case length >= 126:
		return f, b, false
	}
	if f.Masked {
		if len(b) < at+4 {
			return f, b, false
		}
		copy(f.Mask[:], b[at:])
		at += 4
	}
	if uint64(len(b)-at) < length {
		return f, b, false
	}
	end := at + int(length)
	f.Payload = b[at:end]
	return f, b[end:], true
}

// AppendServer appends a frame as servers send them.
func AppendServer(dst []byte, op byte, payload []byte) []byte {
	return append(appendHeader(dst, op, 0, len(payload)), payload...)
}

// mask is the key of all frames of clients. A server takes any; another one for each frame would guard
// proxies in between, of which there are none.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// AppendClient appends a frame as clients send them: masked.
func AppendClient(dst []byte, op byte, payload []byte) []byte {
	dst = append(appendHeader(dst, op, 0x80, len(payload)), mask[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	Unmask(dst[start:], mask)
	return dst
}

func appendHeader(dst []byte, op, masked byte, length int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case length < 126:
		return append(dst, masked|byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(length))
}

// Unmask masks b, or undoes it.
func Unmask(b []byte, key [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}
