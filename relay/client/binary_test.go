package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"setu/relay/socketio"
)

// withAttachments is a message whose data names attachments of its packet.
func withAttachments(room string, seq int, nums ...int) map[string]any {
	m := message(room, seq)
	data := []Attachment{}
	for _, n := range nums {
		data = append(data, Attachment(n))
	}
	m["data"] = data
	return m
}

// inside describes a message's data and attachments.
func inside(m Message) string { return fmt.Sprintf("%s %q", m.Data, m.Attachments) }

const (
	one   = `{"_placeholder":true,"num":0}`
	two   = `{"_placeholder":true,"num":1}`
	three = `{"_placeholder":true,"num":2}`
)

// A list's messages share the attachments of its packet. Each gets its own, numbered from 0.
func TestAttachmentsOfLists(t *testing.T) {
	list, err := json.Marshal([]any{
		withAttachments("a", 1, 0), message("a", 2), withAttachments("a", 3, 2, 1, 2), withAttachments("a", 4, 3)})
	if err != nil {
		t.Fatal(err)
	}
	frames := []string{"cat", "", "dog", "cow"}
	want := []string{`[` + one + `] ["cat"]`, `2 []`, `[` + two + `,` + one + `,` + two + `] ["" "dog"]`,
		`[` + one + `] ["cow"]`}
	check := func(name string, list []Message) {
		t.Helper()
		var got []string
		for _, m := range list {
			got = append(got, inside(m))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	var live []Message
	var resets []Reset
	o := Options{Handler: Handler{
		Message: func(m Message) { live = append(live, m) },
		Reset:   func(r Reset) { resets = append(resets, r) },
	}}
	play(t, o, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		body := `{"ok":true,"room":"a","offset":"o4","recovered":%v,"count":1,"messages":` + string(list) + `}`
		go func() { s.request("join").ackBinary(fmt.Sprintf(body, false), frames...) }()
		j, err := c.Join(t.Context(), "a", JoinOptions{History: 4})
		if err != nil {
			t.Fatal(err)
		}
		check("join", j.Messages)
		go func() { s.request("history").ackBinary(fmt.Sprintf(body, false), frames...) }()
		h, err := c.History(t.Context(), "a", "", 4)
		if err != nil {
			t.Fatal(err)
		}
		check("history", h.Messages)
		s.send(`454-["reset",`+strings.Replace(fmt.Sprintf(body, false), "o4", "o0", 1)+`,"o0"]`, frames...)
		s.cut()
		later := strings.NewReplacer(`"seq":`, `"seq":1`, `"offset":"o`, `"offset":"p`)
		r.next().request("join").ackBinary(later.Replace(fmt.Sprintf(body, true)), frames...)
		synctest.Wait()
		check("reset", resets[0].Messages)
		check("rejoin", live)
	})
}

// A packet reaches the Handler once all of its attachments have arrived. Pings may come between
// them.
func TestAttachmentsOfEvents(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		arg, _ := json.Marshal(withAttachments("a", 1, 1, 0))
		s.send(`452-["message",`+string(arg)+`,"o1"]`, "x")
		s.send("2")
		if got := l.take(); got != "" {
			t.Errorf("told of a half: %s", got)
		}
		s.down <- frame{data: []byte("y"), binary: true}
		s.send(`451-["signal",{"room":"a","from":{"name":"Ben"},"data":`+one+`}]`, "z")
		s.send(`451-["later",`+one+`]`, "from a later relay")
		s.send(`451-/other,["message",`+one+`]`, "of a namespace that is not ours")
		s.send(`461-999[`+one+`]`, "that nobody asked for")
		plain, _ := json.Marshal(message("a", 2))
		s.send(`450-["message",` + string(plain) + `,"o2"]`)
		want := `message a 1 ["x" "y"]; signal a Ben ` + one + ` ["z"]; message a 2`
		if got := l.take(); got != want {
			t.Errorf("told: %s, want %s", got, want)
		}
	})
}

func TestReassemblyFaults(t *testing.T) {
	const begun = `452-["later",` + one + `]`
	large := string(make([]byte, maxAttachmentBytes/2))
	for name, frames := range map[string]struct {
		text        string
		attachments []string
		then        string
		want        error
	}{
		"text in between":   {begun, []string{"x"}, `42["later",{}]`, errMissingAttachments},
		"another begins":    {begun, nil, begun, errMissingAttachments},
		"a stray":           {"6", []string{"x"}, "", errUnexpectedBinary},
		"one too many":      {begun, []string{"x", "y", "z"}, "", errUnexpectedBinary},
		"too much":          {begun, []string{large, large + "x"}, "", errAttachmentsTooLarge},
		"too many":          {`4511-["later",` + one + `]`, nil, "", socketio.ErrAttachments},
		"no count":          {`45["later",` + one + `]`, nil, "", socketio.ErrAttachments},
		"an ack without id": {`461-[` + one + `]`, nil, "", socketio.ErrID},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
				s := r.next()
				join(t, c, s, "a", JoinOptions{})
				s.send(frames.text, frames.attachments...)
				if frames.then != "" {
					s.send(frames.then)
				}
				again := r.next()
				if got := l.take(); got != "error "+frames.want.Error() {
					t.Errorf("told: %s", got)
				}
				again.request("join").ack(joinAck("a", true, "o0"))
				if got := l.take(); got != "rejoined a true 0" { // nothing is left over from before
					t.Errorf("told: %s", got)
				}
			})
		})
	}
}

// A packet is dropped if its connection is lost before it is complete.
func TestPartialIsLostWithItsConnection(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		s.send(`452-["later",`+one+`]`, "x")
		s.cut()
		r.next().request("join").ack(joinAck("a", true, "o1", 1))
		if got, want := l.take(), "recovered a 1; rejoined a true 1"; got != want {
			t.Errorf("told: %s, want %s", got, want)
		}
	})
}

func publishBinary(t *testing.T, c *Client, data any, attachments [][]byte, id string) <-chan publishResult {
	out := make(chan publishResult, 1)
	go func() {
		p, err := c.PublishBinary(t.Context(), "a", data, attachments, id)
		out <- publishResult{p, err}
	}()
	return out
}

func TestPublishBinary(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		data := map[string]any{"b": Attachment(1), "a": []any{Attachment(0), "<b>"}}
		done := publishBinary(t, c, data, [][]byte{[]byte("\x00\xff"), {}}, "m1")
		plain := publishBinary(t, c, "no attachment", nil, "m2")
		for range 2 {
			q := s.request("publish")
			switch {
			case q.arg["id"] == "m2":
				if q.text[0] != byte(socketio.Event) {
					t.Errorf("sent %s", q.text)
				}
			case !strings.HasPrefix(q.text, "52-") || !slices.Equal(q.attachments, []string{"\x00\xff", ""}) ||
				!strings.HasSuffix(q.text, `"data":{"a":[`+one+`,"<b>"],"b":`+two+`}}]`):
				t.Errorf("sent %s %q", q.text, q.attachments)
			}
			q.ack(ok(1))
		}
		for _, d := range []<-chan publishResult{done, plain} {
			if got := <-d; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

// Attachments are kept and sent again with their message, unchanged even if the caller changes its
// copy.
func TestPublishBinaryIsSentAgain(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		picture := []byte("cat")
		done := publishBinary(t, c, Attachment(0), [][]byte{picture}, "p1")
		s.request("publish")
		copy(picture, "dog")
		for i := range 2 {
			s.cut()
			s = r.next()
			s.request("join").ack(joinAck("a", true, "o1"))
			q := s.request("publish")
			if q.arg["id"] != "p1" || !slices.Equal(q.attachments, []string{"cat"}) {
				t.Errorf("after %d cuts: %s %q", i+1, q.text, q.attachments)
			}
			if i == 1 {
				q.ack(ok(2))
			}
		}
		if got := <-done; got.err != nil || got.Seq != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestPublishBinaryOfWhatNoRelayTakes(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		var many []Attachment
		for i := range socketio.MaxAttachments + 1 {
			many = append(many, Attachment(i))
		}
		for name, q := range map[string]struct {
			data  any
			count int
			want  error
		}{
			"too many":       {many, len(many), errTooManyAttachments},
			"one not named":  {Attachment(1), 2, errPlaceholders},
			"one not there":  {many[:3], 2, errPlaceholders},
			"none there":     {Attachment(0), 0, errPlaceholders},
			"negative":       {Attachment(-1), 1, errPlaceholders},
			"another way":    {json.RawMessage(`[` + one + `,{"num":0,"_placeholder":true}]`), 1, errPlaceholders},
			"only in a text": {one, 1, errPlaceholders},
		} {
			if _, err := c.PublishBinary(t.Context(), "a", q.data, make([][]byte, q.count), ""); !errors.Is(err, q.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		var e *Error
		half := make([]byte, 5000)
		_, err := c.PublishBinary(t.Context(), "a", many[:2], [][]byte{half, half}, "")
		if !errors.As(err, &e) || e.Code != "too_large" {
			t.Errorf("too large: %v", err)
		}
		s.quiet()
	})
}

// An application reads with the same type with which it wrote.
func TestAttachmentIsRead(t *testing.T) {
	var data struct{ Picture Attachment }
	if err := json.Unmarshal([]byte(`{ "picture": `+three+` }`), &data); err != nil || data.Picture != 2 {
		t.Errorf("%v %v", data, err)
	}
	for _, text := range []string{`{}`, `2`, `"2"`, `[]`, `{"_placeholder":true,"num":-1}`, `{"_placeholder":true,"num":02}`,
		`{"_placeholder":true,"num":1e3}`, `{"_placeholder":true,"num":99999999999999999999}`, `{"_placeholder":true,"num":"1"}`} {
		if json.Unmarshal([]byte(text), new(Attachment)) == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// Whatever the data is, its attachments mean the same after renumbering, and nothing else changes.
func FuzzOwn(f *testing.F) {
	f.Add([]byte(`[`+three+`,`+one+`]`), uint8(3))
	f.Add([]byte(`{"a":`+two+`,"b":"{\"_placeholder\":true,\"num\":0}"}`), uint8(2))
	f.Add([]byte(`{"_placeholder":true,"num":{"_placeholder":true,"num":1}}`), uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		var all [][]byte
		for i := range min(int(n), socketio.MaxAttachments) {
			all = append(all, fmt.Appendf(nil, "<%d>", i))
		}
		got, mine := selectAttachments(bytes.Clone(data), all)
		if json.Valid(data) != json.Valid(got) {
			t.Fatalf("%q became %q", data, got)
		}
		if want, is := filled(data, all), filled(got, mine); json.Valid(data) && !bytes.Equal(want, is) {
			t.Fatalf("%q became %q with %q", data, got, mine)
		}
		if again, same := selectAttachments(got, mine); !bytes.Equal(again, got) || len(same) != len(mine) {
			t.Fatalf("%q: numbered twice: %q, then %q", data, got, again)
		}
	})
}

// filled returns data with attachments in the place of their placeholders.
func filled(data []byte, all [][]byte) []byte {
	for i, a := range all {
		data = bytes.ReplaceAll(data, placeholder(i), a)
	}
	return data
}
