package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
)

// page reads a page and checks it.
func page(t *testing.T, b broker.Broker, room string, before broker.Offset, limit int, want []string, wantMore bool) []broker.Message {
	t.Helper()
	got, more, err := b.History(t.Context(), room, before, limit)
	if err != nil || more != wantMore || !slices.Equal(bodies(got), want) {
		t.Fatalf("%d before %v: %q, more %v, %v; want %q, more %v", limit, before, bodies(got), more, err, want, wantMore)
	}
	return got
}

func testHistory(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	page(t, relay, "a", broker.Offset{}, 10, nil, false)
	empty := relay.Head()
	receipts := publishMany(t, relay, "a", "m", 30)
	publishMany(t, relay, "b", "other", 3)

	page(t, relay, "a", broker.Offset{}, 30, numbered("m", 0, 30), false)
	page(t, relay, "a", broker.Offset{}, 100, numbered("m", 0, 30), false)
	got := page(t, relay, "a", broker.Offset{}, 7, numbered("m", 23, 30), true)
	for to := 23; to > 0; to -= 7 { // back to the beginning
		from := max(0, to-7)
		got = page(t, relay, "a", got[0].Offset(), 7, numbered("m", from, to), from > 0)
	}
	page(t, relay, "a", got[0].Offset(), 7, nil, false)
	page(t, relay, "a", receipts[10].Offset, 3, numbered("m", 7, 10), true)
	moment := broker.Offset{Epoch: empty.Epoch, Pos: receipts[29].Offset.Pos, At: receipts[29].At}
	page(t, relay, "a", moment, 2, numbered("m", 28, 30), true)
	page(t, relay, "a", empty, 5, nil, false)
	for i, m := range page(t, relay, "a", broker.Offset{}, 30, numbered("m", 0, 30), false) {
		if m.Offset() != receipts[i].Offset || m.At != receipts[i].At || m.Room != "a" {
			t.Errorf("message %d is %+v, its receipt was %+v", i, m, receipts[i])
		}
	}
}

func testHistoryGap(t *testing.T, h Harness) {
	o := defaults()
	o.History = 5
	relay := h.New(t, o).Open(t)
	receipts := publishMany(t, relay, "a", "m", 12)
	page(t, relay, "a", broker.Offset{}, 100, numbered("m", 7, 12), false)
	page(t, relay, "a", receipts[9].Offset, 100, numbered("m", 7, 9), false)
	page(t, relay, "a", receipts[3].Offset, 100, nil, false) // let go of, with all before it

	foreign, other := receipts[9].Offset, receipts[9].Offset
	foreign.Epoch = "another"
	other.Digest = receipts[8].Offset.Digest
	for _, before := range []broker.Offset{foreign, other} {
		if got, _, err := relay.History(t.Context(), "a", before, 5); !errors.Is(err, broker.ErrGap) {
			t.Errorf("before %v, which is not of this history: %q, %v", before, bodies(got), err)
		}
	}
}

func testSnapshot(t *testing.T, h Harness) {
	o := defaults()
	o.History = 5
	relay := h.New(t, o).Open(t)
	last := publish(t, relay, "b", "ann", "1", "elsewhere")
	r := follow(t, relay, "a")
	if s := r.snapshot; len(s.Messages) != 0 || s.More || s.Tail.Seq != 0 || s.Tail.Pos != last.Offset.Pos || s.Tail.Epoch != last.Offset.Epoch {
		t.Errorf("of an empty room: %+v after %+v", s, last)
	}
	receipts := publishMany(t, relay, "c", "m", 8)
	r = follow(t, relay, "c")
	if s := r.snapshot; !slices.Equal(bodies(s.Messages), numbered("m", 3, 8)) || s.More || s.Tail != receipts[7].Offset {
		t.Errorf("of a room of 8, of which 5 are kept: %+v", s)
	}
	if stop, err := relay.Subscribe(t.Context(), "c", &recorder{t: t, name: "c"}, 0); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("a second subscription: %v", err)
		stop()
	}
}

// While somebody publishes all the time, many come and go: each has all messages from the first to
// its last, and what is delivered to it is in order with what is delivered in the room beside.
func testSnapshotThenLive(t *testing.T, h Harness) {
	o := defaults()
	o.History = 10_000
	store := h.New(t, o)
	relay := store.Open(t)
	writer := relay
	if h.Shared {
		writer = store.Open(t)
	}
	order := &order{}
	beside := followOrdered(t, relay, "b", order)
	done := make(chan struct{})
	written := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				for _, room := range []string{"a", "b"} {
					publish(t, writer, room, "ann", fmt.Sprint("m", written), fmt.Sprint("m", written))
				}
				written++
			}
		}
	})
	var kept []*recorder
	for range 60 {
		r := &recorder{t: t, name: "a", order: order}
		stop, err := relay.Subscribe(t.Context(), "a", r, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := len(r.state())
		eventually(t, "one more delivered", func() bool { return len(r.state()) > n })
		stop()
		r.stopped.Store(true)
		kept = append(kept, r)
	}
	last := follow(t, relay, "a")
	close(done)
	wg.Wait()
	last.ends(numbered("m", written-min(written, 20), written))
	beside.has(numbered("m", 0, written))
	for _, r := range kept { // the recorder has looked for holes; this is for where it begins
		got := r.state() // the snapshot may leave out the oldest
		from := int(got[0].Seq) - 1
		if want := numbered("m", from, from+len(got)); !slices.Equal(bodies(got), want) {
			t.Errorf("has %d messages, not those from %d on", len(got), from)
		}
	}
}

func testStop(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	for who := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					id := fmt.Sprint(who, "-", i)
					publish(t, relay, "a", "ann", id, id)
					relay.Signal("a", "s", "x")
				}
			}
		})
	}
	for range 40 {
		r := &recorder{t: t, name: "a"}
		stop, err := relay.Subscribe(t.Context(), "a", r, 0)
		if err != nil {
			t.Fatal(err)
		}
		stop()
		r.stopped.Store(true) // from here on the recorder complains
		stop()                // again does nothing, not even to a successor
	}
	r := follow(t, relay, "a")
	n := len(r.delivered())
	eventually(t, "the last subscriber served", func() bool { return len(r.delivered()) > n })
}

// A history expires whole. Who was there all the time sees no gap when it begins again.
func testExpiry(t *testing.T, h Harness) {
	o := defaults()
	o.TTL = 400 * time.Millisecond
	relay := h.New(t, o).Open(t)
	r := follow(t, relay, "a")
	before := publish(t, relay, "a", "ann", "1", "before")
	eventually(t, "expired", func() bool {
		got, _, err := relay.History(t.Context(), "a", broker.Offset{}, 10)
		return err == nil && len(got) == 0
	})
	after := publish(t, relay, "a", "ann", "2", "after")
	if after.Duplicate || after.Offset.Seq != 1 || after.Offset.Pos <= before.Offset.Pos || after.Offset.Epoch != before.Offset.Epoch {
		t.Errorf("%+v after %+v expired", after, before)
	}
	r.has([]string{"before", "after"})
	r.loads("")
}

func testHead(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	r := follow(t, relay, "a")
	m := publish(t, relay, "a", "ann", "1", "x")
	r.has([]string{"x"})
	head := relay.Head()
	if head.Seq != 0 || head.Epoch != m.Offset.Epoch || head.Pos != m.Offset.Pos {
		t.Errorf("head %+v after %+v", head, m)
	}
	if d := time.Duration(head.At-m.At) * time.Millisecond; d < -time.Second || d > patience {
		t.Errorf("head %+v is %v after %+v", head, d, m)
	}
	m = publish(t, relay, "b", "ann", "1", "in a room without subscribers")
	eventually(t, "head moved on", func() bool { return relay.Head().Pos == m.Offset.Pos })
	if parsed, err := broker.ParseOffset(head.String()); err != nil || parsed != head {
		t.Errorf("head %v reads as %v, %v", head, parsed, err)
	}
}

// What another relay had delivered already has been delivered here, too, once it is reached.
func testReach(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	here := store.Open(t)
	there := here
	if h.Shared {
		there = store.Open(t)
	}
	r := follow(t, here, "a")
	for n := range 50 {
		body := strconv.Itoa(n)
		at := publish(t, there, "a", "ann", body, body).Offset
		elsewhere := publish(t, there, "b", "ann", body, body).Offset // of a room that nobody follows here
		if err := here.Reach(t.Context(), elsewhere); err != nil {
			t.Fatal(err)
		}
		if got := r.state(); len(got) != n+1 || got[n].Offset() != at {
			t.Fatalf("%d of %d messages have been delivered", len(got), n+1)
		}
		if head := here.Head(); head.Pos < elsewhere.Pos {
			t.Fatalf("head %+v, reached %+v", head, elsewhere)
		}
	}
	later := here.Head()
	later.Pos += 1000
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := here.Reach(ctx, later); err == nil {
		t.Error("reached what is not there")
	}
	later.Epoch, later.Pos = "another", 0
	if err := here.Reach(ctx, later); err == nil {
		t.Error("reached another epoch")
	}
}

func testSignals(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relay := store.Open(t)
	r := follow(t, relay, "a")
	checkSignal(t, relay, r)
	if got := r.state(); len(got) != 0 {
		t.Errorf("a signal was stored: %q", bodies(got))
	}
}

func testSharedSignals(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	r := follow(t, other, "a")
	checkSignal(t, one, r)
}

func checkSignal(t *testing.T, b broker.Broker, r *recorder) {
	t.Helper()
	b.Signal("b", "s1", "elsewhere")
	b.Signal("a", "s1", `{"typing": true}`)
	eventually(t, "signal", func() bool { return len(r.heard()) > 0 })
	if got := r.heard(); !slices.Equal(got, []broker.Signal{{Sender: "s1", Body: `{"typing": true}`}}) {
		t.Errorf("heard %+v", got)
	}
}
