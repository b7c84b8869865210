package room

import (
	"encoding/json"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/engineio"
)

func TestCompact(t *testing.T) {
	for body, want := range map[string]string{
		`"id":"i","from":{"id":"~Ab3dEf6hIj9lMn0p","name":"guest-ab3d","guest":true},"data":1`:                  `"id":"i","from":{"id":"~Ab3dEf6hIj9lMn0p"},"data":1`,
		`"id":"i","from":{"id":"~Ab3dEf6hIj9lMn0p","name":"guest-Ab3d","guest":true},"data":1`:                  `"id":"i","from":{"id":"~Ab3dEf6hIj9lMn0p","name":"guest-Ab3d"},"data":1`,
		`"id":"i","from":{"id":"~Ab3d","name":"Asha","guest":true},"data":{"offset":"x"}`:                       `"id":"i","from":{"id":"~Ab3d","name":"Asha"},"data":{"offset":"x"}`,
		`"id":"i","from":{"id":"u","name":"Ben","guest":false},"data":",\"data\":"`:                             `"id":"i","from":{"id":"u","name":"Ben"},"data":",\"data\":"`,
		`"id":"i","from":{"id":"u","name":"\"from\":{\"id\":\"~","guest":false},"data":[]`:                      `"id":"i","from":{"id":"u","name":"\"from\":{\"id\":\"~"},"data":[]`,
		`"id":"i","from":{"id":"u","name":"B","guest":false,"region":"nrt","relay":"one"},"data":1`:             `"id":"i","from":{"id":"u","name":"B","region":"nrt"},"data":1`,
		`"id":"i","from":{"id":"~Ab3d","name":"guest-ab3d","guest":true,"region":"nrt"},"data":1`:               `"id":"i","from":{"id":"~Ab3d","region":"nrt"},"data":1`,
		`"id":"i","from":{"id":"u","name":"B","guest":false,"relay":"one"},"data":1`:                            `"id":"i","from":{"id":"u","name":"B"},"data":1`,
		`"id":"i","from":{"id":"u","name":"B","guest":false,"region":",\"relay\":\"","relay":"\""},"data":1`:    `"id":"i","from":{"id":"u","name":"B","guest":false,"region":",\"relay\":\"","relay":"\""},"data":1`,
		`"id":"i","from":{"id":"u","name":"B","guest":false,"region":"nrt","relay":"one","later":"x"},"data":1`: `"id":"i","from":{"id":"u","name":"B","guest":false,"region":"nrt","relay":"one","later":"x"},"data":1`,
		// What can't follow from the id stays, and so does what a later relay adds.
		`"id":"i","from":{"id":"u","name":"Ben","guest":true},"data":1`:            `"id":"i","from":{"id":"u","name":"Ben","guest":true},"data":1`,
		`"id":"i","from":{"id":"~u","name":"Ben","guest":false},"data":1`:          `"id":"i","from":{"id":"~u","name":"Ben","guest":false},"data":1`,
		`"id":"i","from":{"id":"u","name":"Ben","guest":false,"later":1},"data":1`: `"id":"i","from":{"id":"u","name":"Ben","guest":false,"later":1},"data":1`,
		`"id":"i","from":{"id":"u","name":"Ben","guest":false},"later":1,"data":1`: `"id":"i","from":{"id":"u","name":"Ben","guest":false},"later":1,"data":1`,
		`"id":"\"from\":{\"id\":\"~x","from":{"id":"u","guest":false},"data":"~"`:  `"id":"\"from\":{\"id\":\"~x","from":{"id":"u"},"data":"~"`,
		`"data":null`: `"data":null`,
		`"later":1`:   `"later":1`,
	} {
		f := newEncoder("").encode(`"r,\"data\":"`, broker.Message{Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: body}).frame
		got := f.In(engineio.Compact)
		object := `{"room":"r,\"data\":","seq":8,` + want + `,"at":7},"e.9.8.d"]`
		if want == `"later":1` { // it has no data, so it is as it is
			object = `{"room":"r,\"data\":","seq":8,"later":1,"at":7,"offset":"e.9.8.d"},"e.9.8.d"]`
		}
		if string(got.Packet()) != `42["message",`+object {
			t.Errorf("%s\n of %s", got.Packet(), body)
		}
		if got.Pos() != f.Pos() || got.In(engineio.Compact) != got || f.In(engineio.Compact) != got || FrameOffset(got) != FrameOffset(f) {
			t.Error("another position, offset or frame")
		}
	}
}

// Of the relay's own region nothing is said, and so of none that it is none.
func TestCompactInARegion(t *testing.T) {
	for place, want := range map[string]string{
		`,"region":"nrt","relay":"one"`: ``,
		`,"region":"nrt"`:               ``,
		`,"region":"fra","relay":"two"`: `,"region":"fra"`,
		`,"relay":"two"`:                `,"region":""`,
		``:                              `,"region":""`,
	} {
		body := `"id":"i","from":{"id":"u","name":"Ben","guest":false` + place + `},"data":1`
		f := newEncoder("nrt").encode(`"r"`, broker.Message{Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: body}).frame
		got := string(f.In(engineio.Compact).Packet())
		if want := `"from":{"id":"u","name":"Ben"` + want + `},"data":1`; !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestCompactWithAttachments(t *testing.T) {
	body := Body("i", broker.User{ID: "~Ab3d", Name: "Asha", Guest: true}, json.RawMessage(`{"_placeholder":true,"num":0}`), []byte("one"))
	f := newEncoder("").encode(`"r"`, broker.Message{Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: body}).frame.In(engineio.Compact)
	want := `451-["message",{"room":"r","seq":8,"id":"i","from":{"id":"~Ab3d","name":"Asha"},"data":{"_placeholder":true,"num":0},"at":7},"e.9.8.d"]`
	if string(f.Packet()) != want || f.Packets() != 2 {
		t.Errorf("%s, %d packets", f.Packet(), f.Packets())
	}
}

// A compact message says all that the plain one says.
func FuzzCompact(f *testing.F) {
	f.Add("r", "i", "~Ab3dEf6hIj9lMn0p", "guest-ab3d", true, `{"a":1.10}`)
	f.Add(`,"data":`, `"from":{"id":"`, "u", `,"guest":false}`, false, `",\"offset\":\"`)
	f.Fuzz(func(t *testing.T, room, id, user, name string, guest bool, text string) {
		if strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || strings.ContainsRune("\"\\<>&\u2028\u2029\ufffd", r) }) || name == "" {
			return // ids need no escaping, and everybody has a name
		}
		if guest = guest && len(user) > 4; strings.HasPrefix(user, broker.GuestPrefix) != guest {
			user, guest = "u"+user, false
		}
		data, _ := json.Marshal(text)
		body := Body(id, broker.User{ID: user, Name: name, Guest: guest}, data)
		plain := newEncoder("").encode(quote(room), broker.Message{Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: body}).frame
		if want, got := said(t, plain), said(t, plain.In(engineio.Compact)); got != want {
			t.Errorf("%s says %s, not %s", plain.In(engineio.Compact).Packet(), got, want)
		}
	})
}

// said is what a message's frame says to who knows what a compact one leaves out.
func said(t *testing.T, f *engineio.Frame) string {
	var args []json.RawMessage
	var m struct {
		Room, ID, Offset string
		Seq, At          int
		From             struct {
			ID, Name string
			Guest    bool
		}
		Data json.RawMessage
	}
	var offset string
	if json.Unmarshal(f.Packet()[2:], &args) != nil || len(args) != 3 || json.Unmarshal(args[1], &m) != nil || json.Unmarshal(args[2], &offset) != nil {
		t.Fatalf("%s", f.Packet())
	}
	if m.Offset == "" {
		m.Offset = offset
	}
	if strings.HasPrefix(m.From.ID, broker.GuestPrefix) {
		if m.From.Guest = true; m.From.Name == "" {
			m.From.Name = broker.GuestName(m.From.ID)
		}
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// BenchmarkCompact is what the first member that wants the compact form costs a message.
func BenchmarkCompact(b *testing.B) {
	m := story("e", 1, 1)[0]
	m.Body = `"id":"0123456789a","from":{"id":"~Ab3dEf6hIj9lMn0p","name":"guest-ab3d","guest":true},"data":"` + strings.Repeat("x", 128) + `"`
	b.ReportAllocs()
	for b.Loop() {
		newEncoder("").encode(`"r"`, m).frame.In(engineio.Compact)
	}
}
