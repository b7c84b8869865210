package room

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/socketio"
)

var asha = broker.User{ID: "u1", Name: "Asha"}

const fromAsha = `"from":{"id":"u1","name":"Asha","guest":false}`

func TestBody(t *testing.T) {
	ten := make([][]byte, socketio.MaxAttachments)
	for name, row := range map[string]struct {
		data        string
		attachments [][]byte
		want        string
	}{
		"plain":        {`{"a":1.10}`, nil, `"id":"m",` + fromAsha + `,"data":{"a":1.10}`},
		"one":          {`1`, [][]byte{{0xff, 0}}, `b1 64 2 "id":"m",` + fromAsha + ",\"data\":1\xff\x00"},
		"two, a space": {`1`, [][]byte{{}, []byte(" 2")}, `b2 64 0 2 "id":"m",` + fromAsha + `,"data":1 2`},
		"ten":          {`1`, ten, `b10 64` + strings.Repeat(" 0", 10) + ` "id":"m",` + fromAsha + `,"data":1`},
	} {
		got := Body("m", asha, json.RawMessage(row.data), row.attachments...)
		if got != row.want {
			t.Errorf("%s: %q", name, got)
		}
		text, attachments := unpack(got)
		if text != `"id":"m",`+fromAsha+`,"data":`+row.data || len(attachments) != len(row.attachments) {
			t.Errorf("%s: read as %q with %d attachments", name, text, len(attachments))
		}
		for i, a := range row.attachments {
			if !bytes.Equal(attachments[i], a) {
				t.Errorf("%s: attachment %d is %q", name, i, attachments[i])
			}
		}
	}
	if got := SignalBody(asha, json.RawMessage(`2`), []byte("x")); got != `b1 55 1 `+fromAsha+`,"data":2x` {
		t.Errorf("%q", got)
	}
}

// A body that no relay writes becomes a message without data, which keeps its place in the order.
func TestBadBody(t *testing.T) {
	for _, body := range []string{"b", "b1", "b1 ", "b1 1", "b1 1 1", "b1 1 1 x", "b1 1 1 xyz", "b0 1 x", "b11 1" + strings.Repeat(" 0", 11) + " x", "b1 0 1 x",
		"b01 1 1 xy", "b1 01 1 xy", "b1 +1 1 xy", "b1 -1 3 xy", "b1  1 1 xy", "b1 1 99999999999999999999 xy", "b1 4294967297 1 xy", "b1 1 1\nxy"} {
		if text, attachments := unpack(body); text != badBody || attachments != nil {
			t.Errorf("%q: %q, %q", body, text, attachments)
		}
	}
	s := newEncoder("").encode(`"r"`, broker.Message{Epoch: "e", Seq: 1, Pos: 1, Digest: "d", Body: "b9"})
	if want := `42["message",{"room":"r","seq":1,"data":null,"at":0,"offset":"e.1.1.d"},"e.1.1.d"]`; string(s.frame.Packet()) != want {
		t.Errorf("%s", s.frame.Packet())
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{`"data":1`, "", "b", "b1 1 1 xy", "b10 1 0 0 0 0 0 0 0 0 0 0 x", "b2 1 0 9 x", "b1 1 1 ", "b1 9999999999 1 x", `"event":"a","data":[]`, `"event":"a\","except":"","x":1,"data":[1]`, `"event":"`,
		`b1 20 1 "event":"a","data":[]x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newEncoder("").encode(`"r"`, broker.Message{Body: body})
		signalFrame(`"r"`, broker.Signal{Body: body})
		text, attachments := unpack(body)
		if len(text) > max(len(body), len(badBody)) || len(attachments) != s.attached || s.attached > socketio.MaxAttachments {
			t.Fatalf("%q: %q with %d attachments", body, text, len(attachments))
		}
		if attachments != nil && pack([]byte(text), attachments) != body {
			t.Fatalf("%q is written back as %q", body, pack([]byte(text), attachments))
		}
		List{s, s, s}.fit().Append(nil)
	})
}
