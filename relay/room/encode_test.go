package room

import (
	"bytes"
	"encoding/json"
	"testing"

	"setu/relay/broker"
)

// The object that lists share is a part of the frame that members get.
func TestMessageFrameSharesItsObject(t *testing.T) {
	for _, n := range []int{1, 10, 60, 100, 65000, 65300, 66000} {
		m := broker.Message{Room: "r", Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: `"data":"` + string(bytes.Repeat([]byte{'x'}, n)) + `"`}
		s := newEncoder("").encode(quote(m.Room), m)
		f, object := s.frame, s.object
		var args []json.RawMessage
		if err := json.Unmarshal(f.Packet()[2:], &args); err != nil || len(args) != 3 {
			t.Fatal(err, string(f.Packet()))
		}
		if !bytes.Equal(args[1], object) || string(object) != string(appendObject(nil, `"r"`, m.Body, m)) || string(args[2]) != `"e.9.8.d"` {
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
		Messages: List{{object: []byte(`{"seq":1,"data":1.10}`)}, {object: []byte(`{"seq":2}`)}}, Members: []string{`{"id":"a"}`}}
	got := string(j.Append(nil, "r\"oom", 0))
	want := `{"ok":true,"room":"r\"oom","offset":"e.1.1.d","recovered":true,"messages":[{"seq":1,"data":1.10},{"seq":2}],"count":2,"members":[{"id":"a"}]}`
	if got != want || j.Size() < len(got)-len("r\"oom")-10 {
		t.Errorf("%s, size %d of %d", got, j.Size(), len(got))
	}
	j.Members = nil
	if got := string(j.Append(nil, "a", 0)); !json.Valid([]byte(got)) || bytes.Contains([]byte(got), []byte("members")) {
		t.Error(got)
	}
}
