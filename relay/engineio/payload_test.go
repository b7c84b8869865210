package engineio

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzPayload parses any body. What is accepted is written back as the same packets, and a packet
// that Parse accepts as a text frame has the same meaning in a body.
func FuzzPayload(f *testing.F) {
	for _, body := range []string{"", "4", "4hello\x1ebAQIDBA==", "\x1e\x1e", "b", "b=", "b\nAA==", "2\x1e3probe\x1e1", "4\x1e4é", "bAQIDBB=="} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		parts := slices.Collect(SplitPayload(body))
		if !bytes.Equal(bytes.Join(parts, []byte{separator}), body) {
			t.Fatalf("%q was split into %q", body, parts)
		}
		var again []byte
		var packets []Packet
		for _, part := range parts {
			p, err := ParseText(part)
			if q, err2 := Parse(part, false); len(part) > 0 && part[0] != binaryMark && (err2 != err || q.Type != p.Type || !bytes.Equal(q.Data, p.Data)) {
				t.Fatalf("%q is %v, %v in a body and %v, %v in a frame", part, p, err, q, err2)
			}
			if err != nil {
				return
			}
			if p.Binary && (p.Type != Message || part[0] != binaryMark) {
				t.Fatalf("%q was taken for %v", part, p)
			}
			packets = append(packets, p)
			frame := NewMessage(p.Data, p.Binary)
			if p.Type != Message {
				frame = NewFrame(len(part), func(dst []byte) []byte { return append(dst, part...) })
			}
			again = frame.AppendPayload(again)
		}
		for i, part := range slices.Collect(SplitPayload(again)) {
			p, err := ParseText(part)
			if err != nil || p.Type != packets[i].Type || p.Binary != packets[i].Binary || !bytes.Equal(p.Data, packets[i].Data) {
				t.Fatalf("%v was written as %q, which is %v, %v", packets[i], part, p, err)
			}
		}
	})
}
