package engineio

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func TestFrameHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
		payload := bytes.Repeat([]byte{'x'}, n)
		for _, guess := range []int{0, n / 2, n, n + 1000} { // of the size, which must not matter
			f := NewFrame(guess, func(dst []byte) []byte { return append(dst, payload...) })
			w := f.Wire()
			if w[0] != 0x81 || !bytes.Equal(f.Packet(), payload) || f.Size() != len(w) {
				t.Fatalf("%d: %x…", n, w[:2])
			}
			head, length := 2, uint64(w[1])
			switch w[1] {
			case 126:
				head, length = 4, uint64(binary.BigEndian.Uint16(w[2:]))
			case 127:
				head, length = 10, binary.BigEndian.Uint64(w[2:])
			}
			want := 2
			if n > 125 {
				want = 4
			}
			if n > 65535 {
				want = 10
			}
			if head != want || length != uint64(n) || len(w) != head+n {
				t.Errorf("%d: header of %d bytes says %d", n, head, length)
			}
		}
	}
}

// A frame with attachments is one text packet and its binary packets, over either transport.
func TestFrameWithAttachments(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 70_000)
	f := NewFrame(4, func(dst []byte) []byte { return append(dst, "4ext"...) }, []byte{1, 2}, nil, long)
	if got := string(f.Packet()); got != "4ext" {
		t.Errorf("the text packet is %q", got)
	}
	got := slices.Collect(f.Attachments())
	if len(got) != 3 || !bytes.Equal(got[0], []byte{1, 2}) || len(got[1]) != 0 || !bytes.Equal(got[2], long) {
		t.Errorf("%d attachments", len(got))
	}
	for range f.Attachments() {
		break // a loop may stop after the first one
	}
	if w := f.Wire(); !bytes.HasPrefix(w, []byte("\x81\x044ext\x82\x02\x01\x02\x82\x00\x82\x7f")) || len(w) != f.Size() {
		t.Errorf("the wire begins with %x", w[:20])
	}
	payload := f.AppendPayload([]byte("2"))
	var packets []Packet
	for b := range SplitPayload(payload) {
		p, err := ParseText(b)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
	if len(packets) != 5 || f.Packets() != 4 || packets[0].Type != Ping || !packets[4].Binary || !bytes.Equal(packets[4].Data, long) {
		t.Errorf("%d packets", len(packets))
	}
	if f.Pos() != 0 || f.At(9).Pos() != 9 {
		t.Error("position ", f.Pos())
	}
}

// A Message packet without Socket.IO in it.
func TestMessageFrames(t *testing.T) {
	for _, tt := range []struct {
		data          string
		binary        bool
		wire, payload string
	}{
		{"hello", false, "\x81\x064hello", "4hello"},
		{"", false, "\x81\x014", "4"},
		{"\x01\x02\x03\x04", true, "\x82\x04\x01\x02\x03\x04", "bAQIDBA=="},
	} {
		f := NewMessage([]byte(tt.data), tt.binary)
		if f.Packets() != 1 || string(f.Wire()) != tt.wire || string(f.AppendPayload(nil)) != tt.payload || string(f.AppendPayload([]byte("2"))) != "2\x1e"+tt.payload {
			t.Errorf("%q: %q, %q", tt.data, f.Wire(), f.AppendPayload(nil))
		}
	}
}
