package engineio

import (
	"bytes"
	"encoding/base64"
	"iter"
)

// In the payload of an HTTP request or response, packets are joined by a separator, and a binary
// one is base64 after a mark.
const (
	separator  = 0x1e
	binaryMark = 'b'
)

// SplitPayload yields the packets of an HTTP payload, each for ParseText. They alias body: a body
// of nothing but separators takes no memory.
func SplitPayload(body []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for more := true; more; {
			var packet []byte
			packet, body, more = bytes.Cut(body, []byte{separator})
			if !yield(packet) {
				return
			}
		}
	}
}

// ParseText parses one packet of an HTTP payload. It is Parse of a text frame, and also decodes
// binary Messages (base64 of RFC 4648, section 4, padded). The error is ErrEmpty, ErrType or
// ErrBase64.
func ParseText(packet []byte) (Packet, error) {
	if len(packet) == 0 || packet[0] != binaryMark {
		return Parse(packet, false)
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(packet)-1))
	n, err := base64.StdEncoding.Strict().Decode(data, packet[1:])
	if err != nil {
		return Packet{}, ErrBase64
	}
	return Packet{Type: Message, Binary: true, Data: data[:n]}, nil
}
