package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
)

// Relays that share a store hear and read the same of annotations, whoever makes them.
func testSharedAnnotations(t *testing.T, h Harness) {
	o := defaults()
	o.History = 2000
	store := h.New(t, o)
	relays := []*Relay{store.Open(t), store.Open(t)}
	all := annotateTogether(t, relays, []string{"a", "b"}, func() {})
	sameAnnotated(t, relays[0], all)
}

// annotateTogether has several annotate the same messages over several relays at once, while others publish.
func annotateTogether(t *testing.T, relays []*Relay, rooms []string, meanwhile func()) (all []*recorder) {
	t.Helper()
	var targets [][]broker.Offset
	for _, room := range rooms {
		var some []broker.Offset
		for _, r := range publishMany(t, relays[0], room, "target", 4) {
			some = append(some, r.Offset)
		}
		targets = append(targets, some)
	}
	for _, relay := range relays {
		order := &order{}
		for _, room := range rooms {
			all = append(all, followOrdered(t, relay, room, order))
		}
	}
	var wg sync.WaitGroup
	for r, room := range rooms {
		for w, relay := range relays {
			wg.Go(func() {
				by := annotator{t, relay, room, fmt.Sprint("user", w)}
				for i := range 60 {
					at := targets[r][i%4]
					n := []broker.Annotation{reaction("+"), edit(fmt.Sprint(w, "-", i), fmt.Sprint("by ", w, " ", i)), back("+"), reaction("-"), back("-")}[i%5]
					for tries := 0; ; tries++ {
						_, err := by.say(at, n)
						if err == nil {
							break
						}
						if !errors.Is(err, broker.ErrUnavailable) || tries > 200 {
							t.Errorf("%s, %d: %v", room, i, err)
							return
						}
						<-time.After(20 * time.Millisecond)
					}
					if i%10 == 0 {
						retryPublish(t, relay, room, fmt.Sprint("beside ", w, " ", i))
					}
				}
			})
		}
	}
	meanwhile()
	wg.Wait()
	return all
}

// retryPublish publishes until that is acknowledged.
func retryPublish(t *testing.T, b broker.Broker, room, body string) broker.Receipt {
	t.Helper()
	var r broker.Receipt
	eventually(t, "published", func() bool {
		r = b.Publish(t.Context(), broker.Publication{Room: room, User: "ann", ID: body, Body: body})[0]
		return r.Err == nil
	})
	return r
}

// sameAnnotated waits until all recorders have what the store has.
func sameAnnotated(t *testing.T, b broker.Broker, all []*recorder) {
	t.Helper()
	for _, r := range all {
		end := retryPublish(t, b, r.name, "end").Offset
		eventually(t, "the end", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.tail.Pos >= end.Pos })
		stored, _, err := b.History(t.Context(), r.name, broker.Offset{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		has, want := folded(r.state()), onlyMessages(stored)
		if got, want := told(has), told(want); !slices.Equal(got, want) {
			t.Errorf("%s: a member has\n%s\nthe store\n%s", r.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for i, m := range want {
			if m.Notes == nil {
				continue
			}
			for j, reaction := range m.Notes.Reactions {
				if has[i].Notes.Reactions[j] != reaction || has[i].Notes.Edited != m.Notes.Edited {
					t.Errorf("%s: %+v is stored, a member has %+v", r.name, m.Notes, has[i].Notes)
				}
			}
		}
	}
}

// Annotations that are made while connections die are neither lost nor doubled.
func testAnnotationsDropped(t *testing.T, h Harness) {
	o := defaults()
	o.History = 2000
	store := h.New(t, o)
	relays := []*Relay{store.Open(t), store.Open(t)}
	all := annotateTogether(t, relays, []string{"a", "b", "c"}, func() {
		for i := range 20 {
			<-time.After(20 * time.Millisecond)
			relays[i%2].Drop()
		}
	})
	ready(t, relays...)
	sameAnnotated(t, relays[0], all)
	for _, r := range all {
		r.loads("")
	}
}

// A relay that is cut off has what it missed in order when it is back; an edit comes with what the message
// says by then, and a text that was deleted meanwhile does not come.
func testAnnotationsMissed(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	away, here := store.Open(t), store.Open(t)
	ann := annotator{t, here, "a", "ann"}
	first := publish(t, here, "a", "ann", "1", "one").Offset
	ann.must(first, reaction("+"))
	r := follow(t, away, "a")
	before := len(r.state())
	mend := away.Cut()
	ann.must(first, edit("1", "secret"))
	second := publish(t, here, "a", "ann", "2", "two").Offset
	ann.must(second, edit("2", "secret, too"))
	ann.must(first, edit("3", "now"))
	ann.must(second, erase())
	mend()
	eventually(t, "all heard", func() bool { return len(r.state()) == before+5 })
	sameTold(t, "missed", r.state()[before:], `e of 1, 2: "" false 0 {"id":"ann"} "now"`, "2 gone", `e of 2, 1: "" false 0 {"id":"ann"} "gone"`,
		`e of 1, 3: "" false 0 {"id":"ann"} "now"`, `d of 2, 2: "" false 0 {"id":"ann"} "gone"`)
	sameTold(t, "as a member has it", folded(r.state()), "1 now, 3 +:1 edited", "2 gone, 2 deleted")
	r.loads("")
}

// If the store loses an annotation that was heard, or acknowledged, that is told as with a message.
func testAnnotationsLost(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	relay := store.Open(t)
	ann := annotator{t, relay, "a", "ann"}
	r := follow(t, relay, "a")
	first := publish(t, relay, "a", "ann", "1", "one").Offset
	ann.must(first, reaction("kept"))
	rollback := store.Save()
	ann.must(first, reaction("lost"))
	eventually(t, "heard", func() bool { return len(r.state()) == 3 })
	rollback()
	r.loads("", broker.ReasonEpoch)
	sameTold(t, "now", folded(r.state()), "1 one, 1 kept:1")
	ready(t, relay)
	read, _, err := relay.History(t.Context(), "a", broker.Offset{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.say(first, reaction("of an epoch before")); !errors.Is(err, broker.ErrGap) {
		t.Error(err)
	}
	if done, err := ann.say(read[0].Offset(), reaction("anew")); err != nil || done.Rev != 2 {
		t.Error(done, err)
	}
}
