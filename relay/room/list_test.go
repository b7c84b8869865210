package room

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/socketio"
)

// photo returns data that refers to a number of attachments, the last first.
func photo(attachments int) string {
	var refs []string
	for i := attachments - 1; i >= 0; i-- {
		refs = append(refs, fmt.Sprintf(`{"_placeholder":true,"num":%d}`, i))
	}
	return "[" + strings.Join(refs, ",") + "]"
}

// publishPhoto stores a message whose attachment i reads "<id>/<i>".
func publishPhoto(t testing.TB, h *Hub, id string, attachments int) broker.Offset {
	t.Helper()
	var all [][]byte
	for i := range attachments {
		all = append(all, fmt.Appendf(nil, "%s/%d", id, i))
	}
	body := Body(id, asha, json.RawMessage(photo(attachments)), all...)
	rc := h.Publish(t.Context(), broker.Publication{Room: "room", User: "p", ID: id, Body: body})[0]
	if rc.Err != nil {
		t.Fatal(rc.Err)
	}
	return rc.Offset
}

// sees does what a stock client does with the list. It returns every message's attachments as
// their text.
func sees(l List) ([]string, error) {
	all := l.Attachments()
	packet := append([]byte(`6`+strconv.Itoa(len(all))+`-1`), l.Append(nil)...)
	if len(all) == 0 {
		packet = append([]byte(`31`), l.Append(nil)...)
	}
	p, err := socketio.Parse(packet)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, packet)
	}
	var messages []struct{ Data json.RawMessage }
	if err := json.Unmarshal(p.Data, &messages); err != nil {
		return nil, err
	}
	var out []string
	for _, m := range messages {
		var refs []struct{ Num int }
		if json.Unmarshal(m.Data, &refs) != nil {
			out = append(out, string(m.Data))
			continue
		}
		var texts []string
		for _, ref := range refs {
			texts = append(texts, string(all[ref.Num]))
		}
		out = append(out, strings.Join(texts, " "))
	}
	return out, nil
}

func checkSees(t *testing.T, what string, l List, want ...string) {
	t.Helper()
	got, err := sees(l)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: %q, %v; want %q", what, got, err, want)
	}
}

func TestBinaryFrames(t *testing.T) {
	body := Body("m", asha, json.RawMessage(photo(2)), []byte("one"), []byte("two"))
	s := newEncoder("").encode(`"r"`, broker.Message{Epoch: "e", Pos: 9, Seq: 8, At: 7, Digest: "d", Body: body})
	object := `{"room":"r","seq":8,"id":"m",` + fromAsha + `,"data":` + photo(2) + `,"at":7,"offset":"e.9.8.d"}`
	if got, want := string(s.frame.Packet()), `452-["message",`+object+`,"e.9.8.d"]`; got != want || string(s.object) != object || s.frame.Pos() != 9 {
		t.Errorf("%s, not %s", got, want)
	}
	if _, err := socketio.Parse(s.frame.Packet()[1:]); err != nil {
		t.Error(err)
	}
	if all := slices.Collect(s.frame.Attachments()); len(all) != 2 || string(all[0]) != "one" || string(all[1]) != "two" || s.size() != len(object)+6 {
		t.Errorf("%q, size %d", all, s.size())
	}
	body = SignalBody(asha, json.RawMessage(photo(1)), []byte("x"))
	f := signalFrame(`"r"`, broker.Signal{Body: body})
	if got := string(f.Packet()); got != `451-["signal",{"room":"r",`+fromAsha+`,"data":`+photo(1)+`}]` || len(slices.Collect(f.Attachments())) != 1 {
		t.Error(got)
	}
}

// A list is cut to what one packet can carry: the newest messages with at most ten attachments, and
// with no literal placeholder beside one.
func TestListFits(t *testing.T) {
	of := func(what string) (l List) {
		for _, c := range what {
			n, data := int(c-'0'), `1`
			switch c {
			case '.':
				n = 0
			case 'x':
				n, data = 0, `{"_placeholder":true,"num":"splice"}`
			case 'u':
				n, data = 0, `{"\u005fplaceholder":true,"num":9}`
			case 'A':
				n = 10
			}
			if n > 0 {
				data = photo(n)
			}
			// A name that reads like a placeholder is no reason to suspect the data.
			body := Body("m", broker.User{ID: "u", Name: "<_placeholder>"}, json.RawMessage(data), make([][]byte, n)...)
			l = append(l, newEncoder("").encode(`"r"`, broker.Message{Body: body}))
		}
		return l
	}
	for in, want := range map[string]int{
		"": 0, "....": 4, "x.u.x": 5, "A": 1, ".A.": 3, "1A": 1, "A1": 1, "A..": 3, "55": 2, "155": 2, "1111111111": 10, "11111111111": 10,
		"2.3.5": 5, "3.3.5": 4, "x1": 1, "1x": 1, "u1": 1, "1u": 1, "x.1.": 3, "1..x": 3, ".1x": 1, "xx1.1": 3, "1x1": 1, "xA": 1, "Ax": 1,
	} {
		l := of(in)
		got := l.fit()
		if len(got) != want {
			t.Errorf("%q: %d fit, not %d", in, len(got), want)
		}
		if len(got) > 0 && &got[len(got)-1] != &l[len(l)-1] {
			t.Errorf("%q: the newest is left out", in)
		}
		if n := len(got.Attachments()); n == 0 {
			continue
		}
		if _, err := sees(got); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	heavy := List{of("1")[0], of(".")[0]}
	body := Body("m", asha, json.RawMessage(photo(1)), make([]byte, MaxReplay-heavy.weight()))
	if got := append(heavy, newEncoder("").encode(`"r"`, broker.Message{Body: body})).fit(); len(got) != 2 {
		t.Errorf("attachments count: %d fit", len(got))
	}
}

func TestListsOfBinaryMessages(t *testing.T) {
	h, _ := newTestHub(t)
	publish(t, h, "room", "p1", `"one"`)
	early := publishPhoto(t, h, "b1", 4)
	stay := guest("stay")
	join(t, h, "room", stay, JoinOptions{})
	publish(t, h, "room", "p2", `"two"`)
	publishPhoto(t, h, "b2", 3)
	late := publishPhoto(t, h, "b3", 3)
	b1, b2, b3 := "b1/3 b1/2 b1/1 b1/0", "b2/2 b2/1 b2/0", "b3/2 b3/1 b3/0"

	if got := stay.got("message"); len(got) != 1 { // the binary ones are not of this type
		t.Error(got)
	}
	j := join(t, h, "room", guest("a"), JoinOptions{History: 10})
	checkSees(t, "all", j.Messages, `"one"`, b1, `"two"`, b2, b3)
	if got := string(j.Append(nil, "room", 0)); strings.Count(got, `"num":9`) != 1 || j.Size() < len(got) || len(j.Attachments()) != 10 {
		t.Errorf("%s, size %d", got, j.Size())
	}
	j = join(t, h, "room", guest("b"), JoinOptions{HasSince: true, Since: early})
	if checkSees(t, "since", j.Messages, `"two"`, b2, b3); !j.Recovered {
		t.Error("six attachments fit")
	}

	publishPhoto(t, h, "b4", 1)
	j = join(t, h, "room", guest("c"), JoinOptions{History: 10})
	checkSees(t, "eleven", j.Messages, `"two"`, b2, b3, "b4/0")
	publishPhoto(t, h, "b5", 4)
	j = join(t, h, "room", guest("d"), JoinOptions{HasSince: true, Since: early})
	if checkSees(t, "since with eleven", j.Messages, b3, "b4/0", "b5/3 b5/2 b5/1 b5/0"); j.Recovered || j.Offset.Seq != 7 {
		t.Error("not all of it came: ", j.Recovered)
	}
	j = join(t, h, "room", guest("e"), JoinOptions{HasSince: true, Since: early, History: 2})
	if checkSees(t, "since with eleven, or two", j.Messages, "b4/0", "b5/3 b5/2 b5/1 b5/0"); j.Recovered {
		t.Error("recovered")
	}
	page, more, err := h.History(t.Context(), "room", broker.Offset{}, 10)
	if checkSees(t, "a page", page, b3, "b4/0", "b5/3 b5/2 b5/1 b5/0"); !more || err != nil {
		t.Error("more is there: ", more, err)
	}
	page, more, err = h.History(t.Context(), "room", late, 10)
	if checkSees(t, "the page before", page, `"one"`, b1, `"two"`, b2); more || err != nil {
		t.Error("no more is there: ", more, err)
	}
}

// A message that reads as a reference keeps nobody from joining.
func TestLiteralPlaceholder(t *testing.T) {
	h, _ := newTestHub(t)
	stay := guest("stay")
	join(t, h, "room", stay, JoinOptions{})
	first := publish(t, h, "room", "p1", `"one"`)
	publish(t, h, "room", "x1", `{"_placeholder":true,"num":5}`)
	j := join(t, h, "room", guest("a"), JoinOptions{HasSince: true, Since: first})
	if checkSees(t, "plain", j.Messages, `{"_placeholder":true,"num":5}`); !j.Recovered {
		t.Error("without attachments nothing is a reference")
	}
	second := publishPhoto(t, h, "b1", 1)
	j = join(t, h, "room", guest("b"), JoinOptions{HasSince: true, Since: first})
	if checkSees(t, "after it", j.Messages, "b1/0"); j.Recovered {
		t.Error("recovered")
	}
	publish(t, h, "room", "x2", `{"\u005fplaceholder":true,"num":5}`)
	j = join(t, h, "room", guest("c"), JoinOptions{History: 10})
	checkSees(t, "before it", j.Messages, `{"\u005fplaceholder":true,"num":5}`)
	page, more, err := h.History(t.Context(), "room", second, 10)
	if checkSees(t, "before both", page, `"one"`, `{"_placeholder":true,"num":5}`); more || err != nil {
		t.Error(more, err)
	}
}

func TestResetWithAttachments(t *testing.T) {
	h, _ := newTestHub(t)
	m := guest("a")
	join(t, h, "room", m, JoinOptions{})
	now := story("new", 1, 12)
	for i := range now {
		now[i].Body = Body("m", asha, json.RawMessage(photo(1)), fmt.Append(nil, i+1))
	}
	h.room("room").Load(broker.Snapshot{Tail: now[11].Offset(), Messages: now}, "epoch")
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.packets[len(m.packets)-1]
	if !strings.HasPrefix(last, `4510-["reset",{"room":"room",`) || strings.Count(last, `"seq":`) != 10 || !strings.Contains(last, `"messages":[{"room":"room","seq":3,`) {
		t.Error(last)
	}
	if _, err := socketio.Parse([]byte(last[1:])); err != nil {
		t.Error(err)
	}
}

// The ring's bound counts attachments, too.
func TestRingCountsAttachments(t *testing.T) {
	h, _ := newTestHub(t)
	join(t, h, "room", guest("a"), JoinOptions{})
	for i := range 5 {
		body := Body(strconv.Itoa(i), asha, json.RawMessage(photo(1)), make([]byte, RingBytes/3))
		h.Publish(t.Context(), broker.Publication{Room: "room", User: "p", ID: strconv.Itoa(i), Body: body})
	}
	r := h.room("room")
	if n := len(r.ring.entries); n != 2 || r.ring.size < 2*RingBytes/3 || r.ring.size > RingBytes {
		t.Errorf("%d entries, %d bytes", n, r.ring.size)
	}
}
