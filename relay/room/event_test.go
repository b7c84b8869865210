package room

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/socketio"
)

// raw returns texts as arguments.
func raw(texts ...string) (out []json.RawMessage) {
	for _, t := range texts {
		out = append(out, json.RawMessage(t))
	}
	return out
}

func eventBodyOf(t testing.TB, e Event, attachments ...[]byte) string {
	t.Helper()
	body, err := EventBody("m", asha, e, attachments...)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// at is a message with a body, in room "r".
func at(body string) broker.Message {
	return broker.Message{Room: "r", Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: body}
}

func TestEventBody(t *testing.T) {
	for name, row := range map[string]struct {
		event       Event
		attachments [][]byte
		want        string
	}{
		"no arguments": {Event{Name: "a"}, nil, `"event":"a","id":"m",` + fromAsha + `,"data":[]`},
		"two":          {Event{Name: "chat message", Args: raw(`"hi"`, `{"n":1.10}`)}, nil, `"event":"chat message","id":"m",` + fromAsha + `,"data":["hi",{"n":1.10}]`},
		"not to one":   {Event{Name: `,"data":[`, Except: "s1", Args: raw(`1`)}, nil, `"event":",\"data\":[","except":"s1","id":"m",` + fromAsha + `,"data":[1]`},
		"binary":       {Event{Name: "a", Args: raw(`{"_placeholder":true,"num":0}`)}, [][]byte{{0xff}}, `b1 106 1 "event":"a","id":"m",` + fromAsha + `,"data":[{"_placeholder":true,"num":0}]` + "\xff"},
	} {
		if got := eventBodyOf(t, row.event, row.attachments...); got != row.want {
			t.Errorf("%s: %q, not %q", name, got, row.want)
		}
	}
	for _, name := range []string{"", strings.Repeat("x", 201), "a\nb", "\xff", "connect", "disconnecting", "newListener", "message", "publish", "welcome", "ping", "annotation"} {
		if body, err := EventBody("m", asha, Event{Name: name}); err == nil {
			t.Errorf("%q has the body %q", name, body)
		}
		if body, err := EventSignalBody(asha, Event{Name: name}); err == nil {
			t.Errorf("%q has the body %q", name, body)
		}
	}
	if body, err := EventSignalBody(asha, Event{Name: "a", Except: "s1"}); err != nil || strings.Contains(body, "s1") { // it goes to others
		t.Errorf("%q, %v", body, err)
	}
	many := slices.Repeat(raw("1"), MaxEventArgs)
	if _, err := EventBody("m", asha, Event{Name: "a", Args: many}); err != nil {
		t.Error(err)
	}
	if _, err := EventBody("m", asha, Event{Name: "a", Args: append(many, raw("1")...)}); err == nil {
		t.Error("more arguments than an event may have")
	}
}

// namedVectors are events, and how members hear them and find them in lists.
var namedVectors = []struct {
	event  Event
	photos int
	frame  string // without the name, which comes first, and the offset, which comes last
	object string
}{
	{Event{Name: "a"}, 0, `42["a"`, `"event":"a","args":[]`},
	{Event{Name: "chat message", Args: raw(`"hi"`, `{"n":1.10}`)}, 0, `42["chat message","hi",{"n":1.10}`, `"event":"chat message","args":["hi",{"n":1.10}]`},
	{Event{Name: `"\u2028`, Except: "s", Args: raw(`",\"data\":"`)}, 0, `42["\"\\u2028",",\"data\":"`, `"event":"\"\\u2028","args":[",\"data\":"]`},
	{Event{Name: "é<", Args: raw(`null`)}, 0, `42["é\u003c",null`, `"event":"é\u003c","args":[null]`},
	{Event{Name: "b", Args: raw(photo(2), `1`)}, 2, `452-["b",` + photo(2) + `,1`, `"event":"b","args":[` + photo(2) + `,1]`},
}

func TestNamedFrames(t *testing.T) {
	for _, v := range namedVectors {
		s := newEncoder("").encode(`"r"`, at(eventBodyOf(t, v.event, make([][]byte, v.photos)...)))
		if got := string(s.frame.Packet()); got != v.frame+`,"e.9.8.d"]` || s.frame.Pos() != 9 || FrameOffset(s.frame) != "e.9.8.d" || s.frame.In(engineio.Compact) != s.frame {
			t.Errorf("%s, at %d", got, s.frame.Pos())
		}
		if _, err := socketio.Parse(s.frame.Packet()[1:]); err != nil {
			t.Errorf("%s: %v", s.frame.Packet(), err)
		}
		object := `{"room":"r","seq":8,"id":"m",` + fromAsha + `,"at":7,` + v.object + `,"offset":"e.9.8.d"}`
		if got := string(List{s}.Append(nil)); got != "["+object+"]" || (List{s}).Size() != len(got)-1 || s.size() != len(object) || s.attached != v.photos {
			t.Errorf("%s of %d bytes, not %s of %d", got, s.size(), object, len(object))
		}
		head, _, _ := strings.Cut(v.frame, "[")
		f := s.frame.In(engineio.Compact | engineio.Object)
		if got := string(f.Packet()); got != head+`["message",`+object+`,"e.9.8.d"]` || f.Pos() != 9 || f.Packets() != 1+v.photos {
			t.Errorf("as an object: %s", got)
		}
	}
}

// A relay that does not know named events delivers a message whose data is their arguments. This is how it
// reads a body.
func TestNamedEventsOnOlderRelays(t *testing.T) {
	for _, v := range namedVectors {
		text, attachments := unpack(eventBodyOf(t, v.event, make([][]byte, v.photos)...))
		var m struct {
			Event, ID string
			From      broker.User
			Data      []json.RawMessage
		}
		object := appendObject(nil, `"r"`, text, at(""))
		if err := json.Unmarshal(object, &m); err != nil || m.Event != v.event.Name || m.ID != "m" || m.From != asha || !slices.EqualFunc(m.Data, v.event.Args, slices.Equal) || len(attachments) != v.photos {
			t.Errorf("%s: %v", object, err)
		}
		head, data, _ := bytes.Cut(object, []byte(dataMember)) // what it takes for the beginning of the data
		if !bytes.HasPrefix(data, []byte("[")) || !bytes.HasSuffix(appendCompactUser(nil, head, ""), []byte(`"from":{"id":"u1","name":"Asha"}`)) {
			t.Errorf("%s, %s", head, data)
		}
		body, err := EventSignalBody(asha, v.event)
		if err != nil || !json.Valid([]byte(`{"room":"r",`+body+`}`)) || !strings.Contains(body, fromAsha+`,"data":[`) {
			t.Errorf("%s, %v", body, err)
		}
	}
}

// A client that can recover takes a string at the end of an event for an offset.
func TestNamedSignals(t *testing.T) {
	for want, e := range map[string]Event{
		`42["a",null]`:               {Name: "a"},
		`42["a",1]`:                  {Name: "a", Args: raw(`1`)},
		`42["a","x",{}]`:             {Name: "a", Except: "s", Args: raw(`"x"`, `{}`)},
		`42["a",1,"x\\\"",null]`:     {Name: "a", Args: raw(`1`, `"x\\\""`)},
		`451-["a",` + photo(1) + `]`: {Name: "a", Args: raw(photo(1))},
	} {
		var attachments [][]byte
		if strings.HasPrefix(want, "451") {
			attachments = [][]byte{[]byte("x")}
		}
		body, err := EventSignalBody(asha, e, attachments...)
		if err != nil {
			t.Fatal(err)
		}
		f := signalFrame(`"r"`, broker.Signal{Body: body})
		if got := string(f.Packet()); got != want || len(slices.Collect(f.Attachments())) != len(attachments) {
			t.Errorf("%s, not %s", got, want)
		}
		head, _, _ := strings.Cut(want, "[")
		args, _ := json.Marshal(append([]json.RawMessage{}, e.Args...))
		object := f.In(engineio.Object)
		if got, want := string(object.Packet()), head+`["signal",{"room":"r",`+fromAsha+`,"event":"a","args":`+string(args)+`}]`; got != want || object.Packets() != f.Packets() {
			t.Errorf("as an object: %s, not %s", got, want)
		}
	}
}

// A body that only begins as a named event's is an opaque message, as it was for older relays.
func TestBadNamedBodies(t *testing.T) {
	for _, text := range []string{
		`"event":`, `"event":1,"data":[]`, `"event":"a`, `"event":"a\"`, `"event":"a","id":"m"`, `"event":"a","data":[`, `"event":"a","data":1`,
		`"event":"a","except":1,"id":"m","data":[]`, `"event":"a","except":"s"`, `"Event":"a","id":"m","data":[]`,
	} {
		if e, ok := parseNamed(text); ok {
			t.Errorf("%s: %q", text, e)
		}
	}
	s := newEncoder("").encode(`"r"`, at(`"event":"a","data":1`))
	if want := `42["message",{"room":"r","seq":8,"event":"a","data":1,"at":7,"offset":"e.9.8.d"},"e.9.8.d"]`; string(s.frame.Packet()) != want {
		t.Errorf("%s", s.frame.Packet())
	}
}

// In one packet with attachments neither a message nor an event may hold a literal placeholder.
func TestListsOfNamedEvents(t *testing.T) {
	of := func(e Event, attachments ...[]byte) stored {
		return newEncoder("").encode(`"r"`, at(eventBodyOf(t, e, attachments...)))
	}
	plain, one, two := of(Event{Name: "<_placeholder>", Args: raw("1")}), of(Event{Name: "a", Args: raw(photo(1))}, []byte("x")), of(Event{Name: "a", Args: raw(photo(2))}, []byte("y"), []byte("z"))
	literal := of(Event{Name: "a", Args: raw(`{"_placeholder":true,"num":7}`)})
	for i, row := range []struct {
		list List
		fit  int
	}{{List{plain, one, two}, 3}, {List{one, literal}, 1}, {List{literal, one, plain}, 2}, {List{literal, plain}, 2}} {
		if got := row.list.fit(); len(got) != row.fit {
			t.Errorf("%d: %d fit, not %d", i, len(got), row.fit)
		}
	}
	l := List{one, plain, two}
	var got []struct {
		Event string
		Args  []json.RawMessage
	}
	if err := json.Unmarshal(l.Append(nil), &got); err != nil || len(got) != 3 {
		t.Fatalf("%s: %v", l.Append(nil), err)
	}
	if refs := `[{"_placeholder":true,"num":2},{"_placeholder":true,"num":1}]`; string(got[2].Args[0]) != refs || got[1].Event != "<_placeholder>" || len(l.Attachments()) != 3 {
		t.Errorf("%s, %d attachments", l.Append(nil), len(l.Attachments()))
	}
}

// publishEvent stores a named event and returns its offset.
func publishEvent(t testing.TB, h *Hub, name, id string, e Event) broker.Offset {
	t.Helper()
	rc := h.Publish(t.Context(), broker.Publication{Room: name, User: "p", ID: id, Body: eventBodyOf(t, e)})[0]
	if rc.Err != nil {
		t.Fatal(rc.Err)
	}
	return rc.Offset
}

// An event that one connection is not to hear reaches all others, and that one neither when it comes back
// nor when it asks for what it missed. It stands in the history.
func TestEventsThatOneDoesNotHear(t *testing.T) {
	h, _ := newTestHub(t)
	sender, other := guest("sender"), guest("other")
	start := join(t, h, "room", sender, JoinOptions{}).Offset
	join(t, h, "room", other, JoinOptions{})
	publishEvent(t, h, "room", "1", Event{Name: "a", Args: raw("1"), Except: sender.ID()})
	publishEvent(t, h, "room", "2", Event{Name: "a", Args: raw("2"), Except: "another"})
	if got := sender.got("a"); len(got) != 1 || !strings.HasPrefix(got[0], `42["a",2,`) {
		t.Errorf("the sender heard %q", got)
	}
	if got := other.got("a"); len(got) != 2 {
		t.Errorf("another heard %q", got)
	}
	for _, replay := range []bool{true, false} {
		again := join(t, h, "room", sender, JoinOptions{Since: start, HasSince: true, Replay: replay})
		if got := seqs(t, again.Messages); !again.Recovered || !slices.Equal(got, []uint64{2}) {
			t.Errorf("the sender missed %v, %t", got, again.Recovered)
		}
		all := join(t, h, "room", other, JoinOptions{Since: start, HasSince: true, Replay: replay})
		if got := seqs(t, all.Messages); !all.Recovered || !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("another missed %v", got)
		}
	}
	page, _, err := h.History(t.Context(), "room", broker.Offset{}, 10)
	if got := seqs(t, page); err != nil || !slices.Equal(got, []uint64{1, 2}) || bytes.Contains(page.Append(nil), []byte("except")) {
		t.Errorf("the history is %s, %v", page.Append(nil), err)
	}
}

// Whatever an event's name and arguments are, they are heard as they were published.
func FuzzEvent(f *testing.F) {
	f.Add("chat message", `"hi"`, `{"n":1.10}`, "")
	f.Add(`,"data":[`, `"],\"offset\":\""`, `null`, "s1")
	f.Fuzz(func(t *testing.T, name, first, second, except string) {
		args := raw(first, second)
		if !json.Valid(args[0]) || !json.Valid(args[1]) || strings.TrimSpace(first) != first || strings.TrimSpace(second) != second || strings.ContainsFunc(except, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }) {
			return
		}
		body, err := EventBody("m", asha, Event{name, args, except})
		if (err == nil) != (CheckEvent(name) == nil) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		s := newEncoder("").encode(`"r"`, at(body))
		heard, got, err := socketio.Arguments(s.frame.Packet()[2:])
		if err != nil || heard != name || len(got) != 3 || string(got[0]) != first || string(got[1]) != second || string(got[2]) != `"e.9.8.d"` {
			t.Fatalf("%s: %v", s.frame.Packet(), err)
		}
		var object struct {
			Event string
			Args  []json.RawMessage
		}
		if json.Unmarshal(s.append(nil, 0), &object) != nil || object.Event != name || !slices.EqualFunc(object.Args, args, slices.Equal) {
			t.Fatalf("%s", s.append(nil, 0))
		}
		if s.isExcepted(except) != (except != "") {
			t.Fatalf("not to %q: %q", except, s.envelope.except)
		}
		if signal, err := EventSignalBody(asha, Event{name, args, except}); err != nil {
			t.Fatal(err)
		} else if heard, got, err := socketio.Arguments(signalFrame(`"r"`, broker.Signal{Body: signal}).Packet()[2:]); err != nil || heard != name || len(got) < 2 || len(got) > 2 != (second[0] == '"') {
			t.Fatalf("%s as a signal: %q, %v", signal, got, err)
		}
	})
}
