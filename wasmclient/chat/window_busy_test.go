package chat

import (
	"fmt"
	"strings"
	"testing"
)

// While many messages come, only the last ones are in the document: those that nobody could have seen are
// never written. Whoever reads farther up keeps what is there.
func TestNarrow(t *testing.T) {
	r := newRoom("harbour")
	r.Enter(Snapshot{})
	seq := int64(0)
	come := func(n int) {
		for range n {
			seq++
			r.AddLive(written(seq, "~a", fmt.Sprint(seq)), true)
		}
	}
	const fill = 20
	written, busy := map[string]bool{}, false
	draw := func() (rows []string) {
		busy = r.Timeline.Narrow(fill)
		rows = texts(r)
		for _, text := range rows {
			written[text] = true
		}
		return rows
	}
	for range 100 {
		come(2)
		draw()
	}
	if n := len(draw()); n != 200 || busy {
		t.Errorf("a few at a time: %d rows, busy %v", n, busy)
	}
	for range 5 {
		come(1000)
		if rows := draw(); len(rows) != fill || rows[len(rows)-1] != fmt.Sprint(seq) || !busy {
			t.Errorf("many at a time: %d rows up to %s, busy %v", len(rows), rows[len(rows)-1], busy)
		}
	}
	if len(written) != 200+5*fill {
		t.Errorf("%d rows were written", len(written))
	}
	r.Timeline.Open()
	if opened := len(texts(r)); len(draw()) != opened || opened <= fill {
		t.Errorf("a room that was opened with %d rows is narrowed", opened)
	}
	r.Timeline.Follow(false)
	come(10)
	if n := len(draw()); n <= fill || busy {
		t.Errorf("while somebody reads: %d rows, busy %v", n, busy)
	}
	if !r.Timeline.Older() {
		t.Error("nothing older can be shown")
	}
}

// What is more than another one's text in one piece is not written with many others at a time.
func TestIsPlain(t *testing.T) {
	say := func(from, data string) *Room {
		r := newRoom("harbour")
		r.Timeline.Self = "me"
		r.Enter(Snapshot{})
		r.AddLive(Message{Seq: 1, ID: "1", Offset: "1-0", From: User{ID: from, Name: "Ben"}, Data: []byte(data)}, true)
		return r
	}
	isPlain := func(r *Room) bool {
		rows := r.Timeline.Rows()
		for _, row := range rows[:len(rows)-1] {
			if row.IsPlain() {
				t.Errorf("a row of another kind is taken for a message: %+v", row)
			}
		}
		return rows[len(rows)-1].IsPlain()
	}
	for data, want := range map[string]bool{
		`{"text":"good morning"}`: true, `{"text":"two\nlines 👋"}`: true, `{"text":"  "}`: true,
		`{"text":"see https://example.org"}`: false, `{"text":"**now**"}`: false, `{"x":1}`: false,
		`{"text":"yes","reply":{"offset":"o","from":"x"}}`: false, `{"text":"` + strings.Repeat("long ", 1000) + `"}`: false,
		`{"text":"@Asha","mentions":[{"id":"me","name":"Asha"}]}`: false,
	} {
		if got := isPlain(say("ben", data)); got != want {
			t.Errorf("%.60s: %v", data, got)
		}
	}
	if isPlain(say("me", `{"text":"good morning"}`)) {
		t.Error("one's own is taken for another's")
	}
	r := say("ben", `{"text":"good morning"}`)
	if r.Annotate(Annotation{Kind: ReactionGiven, Offset: "1-0", By: "x", Rev: 1, Value: "👍", Count: 1}); isPlain(r) {
		t.Error("a reaction would be left out")
	}
}

func TestISOTime(t *testing.T) {
	for at, want := range map[int64]string{0: "1970-01-01T00:00:00.000Z", 1_700_000_000_007: "2023-11-14T22:13:20.007Z", -1: "1969-12-31T23:59:59.999Z"} {
		if got := ISOTime(at); got != want {
			t.Errorf("%d: %s", at, got)
		}
	}
}
