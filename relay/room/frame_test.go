package room

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"

	"setu/relay/broker"
)

func TestFrameHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
		payload := bytes.Repeat([]byte{'x'}, n)
		for _, guess := range []int{0, n / 2, n, n + 1000} { // of the size: it must not matter
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

// The object that lists share is a part of the frame that members get.
func TestMessageFrameSharesItsObject(t *testing.T) {
	for _, n := range []int{1, 10, 60, 100, 65000, 65300, 66000} {
		m := broker.Message{Room: "r", Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: `"data":"` + string(bytes.Repeat([]byte{'x'}, n)) + `"`}
		f, object := messageFrame(quote(m.Room), m)
		var args []json.RawMessage
		if err := json.Unmarshal(f.Packet()[2:], &args); err != nil || len(args) != 3 {
			t.Fatal(err, string(f.Packet()))
		}
		if !bytes.Equal(args[1], object) || string(object) != string(appendObject(nil, `"r"`, m)) || string(args[2]) != `"e.9.8.d"` {
			t.Errorf("%d: %s", n, f.Packet())
		}
	}
}

func TestQuotedNames(t *testing.T) {
	for _, name := range []string{`a"b\`, "é😀", "<&>", "\u2028", "a,b"} {
		f := signalFrame(quote(name), broker.Signal{Body: `"data":1`})
		var args []json.RawMessage
		var body struct{ Room string }
		if json.Unmarshal(f.Packet()[2:], &args) != nil || json.Unmarshal(args[1], &body) != nil || body.Room != name {
			t.Errorf("%q: %s", name, f.Packet())
		}
	}
}

func TestAnswerIsJSON(t *testing.T) {
	j := Joined{Offset: broker.Offset{Epoch: "e", Pos: 1, Seq: 1, Digest: "d"}, Recovered: true, Count: 2,
		Messages: Objects{[]byte(`{"seq":1,"data":1.10}`), []byte(`{"seq":2}`)}, Members: []string{`{"id":"a"}`}}
	got := string(j.Append(nil, "r\"oom"))
	want := `{"ok":true,"room":"r\"oom","offset":"e.1.1.d","recovered":true,"messages":[{"seq":1,"data":1.10},{"seq":2}],"count":2,"members":[{"id":"a"}]}`
	if got != want || j.Size() < len(got)-len("r\"oom")-10 {
		t.Errorf("%s, size %d of %d", got, j.Size(), len(got))
	}
	j.Members = nil
	if got := string(j.Append(nil, "a")); !json.Valid([]byte(got)) || bytes.Contains([]byte(got), []byte("members")) {
		t.Error(got)
	}
}
