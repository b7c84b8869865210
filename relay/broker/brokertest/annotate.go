package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

// runAnnotations runs the cases of broker.Annotations.
func runAnnotations(h Harness, run func(string, func(*testing.T, Harness))) {
	run("annotate", testAnnotate)
	run("annotate what is not kept", testAnnotateGap)
	run("annotations bounded", testAnnotationsBounded)
	run("annotations take no place", testAnnotationsTakeNoPlace)
	run("annotations expire", testAnnotationsExpire)
	run("annotations vouch", testAnnotationsVouch)
	if h.Shared {
		run("shared annotations", testSharedAnnotations)
	}
	if h.Shared && h.Outages {
		run("annotations, connections dropped", testAnnotationsDropped)
		run("annotations missed", testAnnotationsMissed)
		run("annotations lost", testAnnotationsLost)
	}
}

// annotator says things of messages of one room as one user.
type annotator struct {
	t    *testing.T
	b    broker.Broker
	room string
	user string
}

func (a annotator) say(target broker.Offset, n broker.Annotation) (broker.Annotated, error) {
	n.Room, n.Target, n.User = a.room, target, a.user
	if n.About == "" {
		n.About = `{"id":"` + a.user + `"}`
	}
	return a.b.Annotate(a.t.Context(), n)
}

// must is say of what has to succeed.
func (a annotator) must(target broker.Offset, n broker.Annotation) broker.Annotated {
	a.t.Helper()
	done, err := a.say(target, n)
	if err != nil {
		a.t.Fatal(err)
	}
	return done
}

func reaction(value string) broker.Annotation {
	return broker.Annotation{Kind: broker.Reaction, Value: value}
}

func back(value string) broker.Annotation {
	return broker.Annotation{Kind: broker.Reaction, Value: value, Remove: true}
}

func edit(id, body string) broker.Annotation {
	return broker.Annotation{Kind: broker.Edit, ID: id, Body: body}
}

func erase() broker.Annotation { return broker.Annotation{Kind: broker.Delete, Body: "gone"} }

// folded is what a member has of messages once it has taken the annotations into account.
func folded(messages []broker.Message) (out []broker.Message) {
	for _, m := range messages {
		n := m.Note
		if n == nil {
			out = append(out, m)
			continue
		}
		for i := range out {
			if out[i].Pos != n.Target.Pos {
				continue
			}
			now := out[i].Notes.With(n, m.At)
			if now != out[i].Notes && n.Body != "" {
				out[i].Body = n.Body
			}
			out[i].Notes = now
		}
	}
	return out
}

// told is messages and annotations as a person can read them, without their times.
func told(messages []broker.Message) (out []string) {
	for _, m := range messages {
		switch n := m.Note; {
		case n != nil:
			out = append(out, fmt.Sprintf("%c of %d, %d: %q %v %d %s %q", n.Kind, n.Target.Seq, n.Rev, n.Value, n.Remove, n.Count, n.About, n.Body))
		case m.Notes == nil:
			out = append(out, fmt.Sprintf("%d %s", m.Seq, m.Body))
		default:
			text := fmt.Sprintf("%d %s, %d", m.Seq, m.Body, m.Notes.Rev)
			for _, r := range m.Notes.Reactions {
				text += fmt.Sprintf(" %s:%d", r.Value, r.Count())
			}
			if m.Notes.Edited > 0 {
				text += " edited"
			}
			if m.Notes.Deleted {
				text += " deleted"
			}
			out = append(out, text)
		}
	}
	return out
}

func onlyMessages(messages []broker.Message) []broker.Message {
	return slices.DeleteFunc(slices.Clone(messages), func(m broker.Message) bool { return m.Note != nil })
}

func sameTold(t *testing.T, what string, got []broker.Message, want ...string) {
	t.Helper()
	if text := told(got); !slices.Equal(text, want) {
		t.Fatalf("%s:\n%s\nwant\n%s", what, strings.Join(text, "\n"), strings.Join(want, "\n"))
	}
}

// Annotations stand between messages in one order, take no sequence, and change how their message is read.
func testAnnotate(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	ann, ben := annotator{t, relay, "a", "ann"}, annotator{t, relay, "a", "ben"}
	first := publish(t, relay, "a", "ann", "1", "one").Offset
	live := follow(t, relay, "a")
	r := ben.must(first, reaction("+"))
	if r.Rev != 1 || r.Count != 1 || r.Duplicate || r.Offset.Seq != 1 || r.Offset.Pos <= first.Pos || r.At == 0 {
		t.Errorf("%+v", r)
	}
	second := publish(t, relay, "a", "ann", "2", "two").Offset
	if second.Seq != 2 {
		t.Errorf("an annotation took a sequence: %v", second)
	}
	if r := ben.must(first, reaction("+")); !r.Duplicate || r.Rev != 1 || r.Count != 1 || !r.Offset.IsZero() {
		t.Errorf("again: %+v", r)
	}
	if r := ann.must(first, reaction("+")); r.Rev != 2 || r.Count != 2 {
		t.Errorf("another's: %+v", r)
	}
	ann.must(first, reaction("two words"))
	ann.must(first, edit("e", "one, edited"))
	if r := ann.must(first, edit("e", "one, again")); !r.Duplicate || r.Rev != 4 {
		t.Errorf("an edit again: %+v", r)
	}
	if r := ben.must(first, back("+")); r.Rev != 5 || r.Count != 1 {
		t.Errorf("taken back: %+v", r)
	}
	if r := ben.must(first, back("+")); !r.Duplicate || r.Count != 1 {
		t.Errorf("taken back again: %+v", r)
	}
	ann.must(second, erase())
	if r := ben.must(second, erase()); !r.Duplicate || r.Rev != 1 {
		t.Errorf("deleted again: %+v", r)
	}
	for _, n := range []broker.Annotation{reaction("+"), back("+"), edit("x", "x")} {
		if _, err := ben.say(second, n); !errors.Is(err, broker.ErrDeleted) {
			t.Errorf("of a deleted message: %v", err)
		}
	}
	notes := []string{
		`r of 1, 1: "+" false 1 {"id":"ben"} ""`,
		`r of 1, 2: "+" false 2 {"id":"ann"} ""`, `r of 1, 3: "two words" false 1 {"id":"ann"} ""`,
		`e of 1, 4: "" false 0 {"id":"ann"} "one, edited"`, `r of 1, 5: "+" true 1 {"id":"ben"} ""`,
		`d of 2, 1: "" false 0 {"id":"ann"} "gone"`,
	}
	now := []string{"1 one, edited, 5 +:1 two words:1 edited", "2 gone, 1 deleted"}
	eventually(t, "all heard", func() bool { return len(live.delivered()) == 7 })
	sameTold(t, "heard", live.delivered(), slices.Insert(notes, 1, "2 two")...)
	sameTold(t, "as a member has it", folded(live.state()), now...)
	read, more, err := relay.History(t.Context(), "a", broker.Offset{}, 2)
	if err != nil || more {
		t.Error(more, err)
	}
	sameTold(t, "the history", read, slices.Insert(append([]string{now[0]}, notes...), 2, now[1])...)
	if before, _, err := relay.History(t.Context(), "a", second, 5); err != nil {
		t.Error(err)
	} else {
		sameTold(t, "before the second", before, now[0], notes[0])
	}
	alone, more, err := relay.History(t.Context(), "a", broker.Offset{}, 1)
	if err != nil || !more {
		t.Error(more, err)
	}
	sameTold(t, "the newest alone", onlyMessages(alone), now[1])
}

// What names no message that is kept can't be annotated.
func testAnnotateGap(t *testing.T, h Harness) {
	o := defaults()
	o.History = 3
	relay := h.New(t, o).Open(t)
	ann := annotator{t, relay, "a", "ann"}
	receipts := publishMany(t, relay, "a", "m", 5)
	elsewhere := publish(t, relay, "b", "ann", "1", "x").Offset
	note := ann.must(receipts[4].Offset, reaction("+")).Offset
	foreign, other := receipts[4].Offset, receipts[4].Offset
	foreign.Epoch = "another"
	other.Digest = receipts[3].Offset.Digest
	for what, at := range map[string]broker.Offset{"trimmed": receipts[1].Offset, "another room's": elsewhere, "an annotation": note,
		"of another epoch": foreign, "of another history": other, "nothing": {}} {
		for _, n := range []broker.Annotation{reaction("+"), edit("e", "x"), erase()} {
			if done, err := ann.say(at, n); !errors.Is(err, broker.ErrGap) {
				t.Errorf("%s: %+v, %v", what, done, err)
			}
		}
	}
	if _, err := (annotator{t, relay, "nowhere", "ann"}).say(receipts[4].Offset, reaction("+")); !errors.Is(err, broker.ErrGap) {
		t.Error(err)
	}
}

func testAnnotationsBounded(t *testing.T, h Harness) {
	o := defaults()
	o.History, o.Reactions, o.ReactionKinds = 2, 3, 2
	relay := h.New(t, o).Open(t)
	by := func(user string) annotator { return annotator{t, relay, "a", user} }
	receipts := publishMany(t, relay, "a", "m", 2)
	at := receipts[1].Offset
	by("ann").must(at, reaction("1"))
	by("ann").must(at, reaction("2"))
	crowded := func(who string, n broker.Annotation) {
		t.Helper()
		if done, err := by(who).say(at, n); !errors.Is(err, broker.ErrCrowded) {
			t.Errorf("%+v, %v", done, err)
		}
	}
	crowded("ann", reaction("3"))
	by("ben").must(at, reaction("1"))
	crowded("ben", reaction("2"))
	by("ann").must(at, back("2"))
	by("ben").must(at, reaction("3"))
	read, _, _ := relay.History(t.Context(), "a", broker.Offset{}, 2)
	sameTold(t, "after that", onlyMessages(read), "1 m0", "2 m1, 5 1:2 3:1")
	// Too many annotations have the oldest messages go, and never the last.
	n := 5
	for ; n < broker.AnnotationsKept(2); n++ {
		by("ann").must(at, edit(fmt.Sprint(n), fmt.Sprint("edit ", n)))
	}
	read, _, _ = relay.History(t.Context(), "a", broker.Offset{}, 2)
	if len(onlyMessages(read)) != 2 {
		t.Errorf("%d messages", len(onlyMessages(read)))
	}
	by("ann").must(at, edit("one more", "one more"))
	read, more, _ := relay.History(t.Context(), "a", broker.Offset{}, 2)
	if got := told(onlyMessages(read)); len(got) != 1 || more || !strings.HasPrefix(got[0], "2 one more, 109 ") {
		t.Errorf("%q, more %v", got, more)
	}
	crowded("ann", edit("yet one", "x"))
	crowded("ann", back("1"))
	by("ann").must(at, erase())
	if r := publish(t, relay, "a", "ann", "next", "next"); r.Offset.Seq != 3 {
		t.Errorf("%+v", r)
	}
	read, _, _ = relay.History(t.Context(), "a", broker.Offset{}, 2)
	sameTold(t, "at last", read, "3 next") // the one before had too many
	publishMany(t, relay, "a", "n", 2)
	if read, _, _ = relay.History(t.Context(), "a", broker.Offset{}, 9); len(read) != 2 {
		t.Errorf("annotations outlive their message: %q", told(read))
	}
}

// Annotations take no place among the messages that are kept, or among those of a page.
func testAnnotationsTakeNoPlace(t *testing.T, h Harness) {
	o := defaults()
	o.History = 10
	relay := h.New(t, o).Open(t)
	ann := annotator{t, relay, "a", "ann"}
	var at []broker.Offset
	for i := range 25 {
		at = append(at, publish(t, relay, "a", "ann", fmt.Sprint(i), fmt.Sprint("m", i)).Offset)
		ann.must(at[i], reaction("+"))
		ann.must(at[max(0, i-5)], reaction("late"))
	}
	s := follow(t, relay, "a").snapshot
	if got := onlyMessages(s.Messages); len(got) != 10 || s.More || got[0].Offset() != at[15] {
		t.Errorf("%q, more %v", told(got), s.More)
	}
	var all []broker.Message
	for before := (broker.Offset{}); ; {
		read, more, err := relay.History(t.Context(), "a", before, 3)
		got := onlyMessages(read)
		if err != nil || more == (len(all)+len(got) == 10) || len(got) == 0 {
			t.Fatalf("%q, more %v, %v", told(read), more, err)
		}
		all = append(got, all...)
		if before = got[0].Offset(); !more {
			break
		}
	}
	for i, m := range all {
		want := fmt.Sprintf("%d m%d, 2 +:1 late:1", 16+i, 15+i)
		if i >= 5 {
			want = fmt.Sprintf("%d m%d, 1 +:1", 16+i, 15+i)
		}
		if i == 9 || m.Offset() != at[15+i] {
			continue
		}
		if got := told([]broker.Message{m}); got[0] != want {
			t.Errorf("%s, want %s", got[0], want)
		}
	}
}

// An annotation keeps a history from expiring, and goes with it.
func testAnnotationsExpire(t *testing.T, h Harness) {
	o := defaults()
	o.TTL = 4 * time.Second
	relay := h.New(t, o).Open(t)
	ann := annotator{t, relay, "a", "ann"}
	live := follow(t, relay, "a")
	first := publish(t, relay, "a", "ann", "1", "one").Offset
	began, last := time.Now(), time.Now()
	for n := 0; time.Since(began) < 2*o.TTL; n++ {
		last = time.Now()
		if _, err := ann.say(first, edit(fmt.Sprint(n), fmt.Sprint("edit ", n))); err != nil {
			t.Fatalf("after %v, which the one before should have bridged: %v", time.Since(began), err)
		}
		<-time.After(o.TTL / 6)
	}
	eventually(t, "expired", func() bool {
		got, _, err := relay.History(t.Context(), "a", broker.Offset{}, 9)
		return err == nil && len(got) == 0
	})
	if time.Since(last) < o.TTL-clockSlack {
		t.Errorf("expired %v after the last annotation", time.Since(last))
	}
	if _, err := ann.say(first, reaction("+")); !errors.Is(err, broker.ErrGap) {
		t.Error(err)
	}
	again := publish(t, relay, "a", "ann", "2", "two").Offset
	if again.Seq != 1 {
		t.Errorf("%v", again)
	}
	ann.must(again, reaction("+"))
	read, _, _ := relay.History(t.Context(), "a", broker.Offset{}, 9)
	sameTold(t, "anew", onlyMessages(read), "1 two, 1 +:1")
	eventually(t, "heard", func() bool {
		all := live.delivered()
		return len(all) > 0 && all[len(all)-1].Note != nil && all[len(all)-1].Note.Target.Pos == again.Pos
	})
	live.loads("")
}

// clockSlack is what timers of a store and of this process may differ by.
const clockSlack = 50 * time.Millisecond

// A session goes on from an annotation as from a message.
func testAnnotationsVouch(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relay := store.Open(t)
	ann := annotator{t, relay, "a", "ann"}
	first := publish(t, relay, "a", "ann", "1", "one").Offset
	note := ann.must(first, reaction("+")).Offset
	publish(t, relay, "a", "ann", "2", "two")
	never := note
	never.Digest = first.Digest
	for _, at := range []broker.Offset{note, first, never} {
		key := "key " + at.String()
		s := broker.Session{ID: "sid", User: broker.User{ID: "ann"}, Rooms: []broker.Membership{{Room: "a", Since: first}}}
		relay.Keep(key, s, func() {}).Release()
		resumed := relay
		if h.Shared {
			resumed = store.Open(t)
			ready(t, resumed)
		}
		got, err := resumed.Resume(t.Context(), key, at, func() {})
		if at == never {
			if !errors.Is(err, broker.ErrGone) {
				t.Errorf("from what never was: %+v, %v", got, err)
			}
			continue
		}
		if err != nil || got.Room != "a" || got.At == 0 {
			t.Errorf("from %v: %+v, %v", at, got, err)
		}
	}
}
