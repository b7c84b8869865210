package engineio

import (
	"bytes"
	"testing"
)

// short stands for compression: what has more than ten bytes gets five.
func short(payload []byte) []byte {
	if len(payload) <= 10 {
		return nil
	}
	return []byte("short")
}

func TestDeflated(t *testing.T) {
	text := func(s string) func([]byte) []byte { return func(dst []byte) []byte { return append(dst, s...) } }
	long := bytes.Repeat([]byte("x"), 70_000)
	for name, test := range map[string]struct {
		f    *Frame
		want string // empty: as it is
	}{
		"small":                   {NewFrame(9, text("4small")), ""},
		"large":                   {NewFrame(9, text("4large enough")), "\xc1\x05short"},
		"larger":                  {NewFrame(9, text(string(long))), "\xc1\x05short"},
		"small, and attachments":  {NewFrame(9, text("4small"), []byte("a"), long[:300]), "\x81\x064small\x82\x01a\xc2\x05short"},
		"large, and attachments":  {NewFrame(9, text("4large enough"), long[:200], []byte("b")), "\xc1\x05short\xc2\x05short\x82\x01b"},
		"small attachments alone": {NewFrame(9, text("4small"), []byte("a"), []byte("b")), ""},
		"binary":                  {NewMessage(long, true), "\xc2\x05short"},
		"empty":                   {NewMessage(nil, true), ""},
	} {
		wire := bytes.Clone(test.f.Wire())
		got := test.f.Deflated(short)
		if test.want == "" {
			if got != test.f {
				t.Errorf("%s: %q", name, got.Wire())
			}
			continue
		}
		if string(got.Wire()) != test.want || got.Size() != len(test.want) || len(got.Packet()) > 0 {
			t.Errorf("%s: %q, %d bytes", name, got.Wire(), got.Size())
		}
		if !bytes.Equal(test.f.Wire(), wire) || test.f.Deflated(nil) != got {
			t.Errorf("%s: the frame has changed, or was compressed twice", name)
		}
	}
}
