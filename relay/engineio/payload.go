package engineio

import (
	"bytes"
	"encoding/base64"
	"iter"
)

// In the body of a poll or a POST packets are joined by a separator, and a binary one is base64 behind a mark.
const (
	separator  = 0x1e
	binaryMark = 'b'
)

// SplitPayload yields the packets of a body, one after the other, without copying: a body of nothing but separators costs no
// memory. Each is for ParseText.
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

// ParseText reads one packet of a body: as Parse reads a text frame, and binary Messages as well, which it decodes (RFC 4648,
// 4, padded).
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
