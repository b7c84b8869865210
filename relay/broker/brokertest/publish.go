package brokertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
)

func testNumbers(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	o := &order{}
	a, b := followOrdered(t, relay, "a", o), followOrdered(t, relay, "b", o)
	var receipts []broker.Receipt
	for i := range 20 {
		room := []string{"a", "b"}[i%2]
		receipts = append(receipts, publish(t, relay, room, "ann", fmt.Sprint(i), fmt.Sprint("body ", i)))
	}
	eventually(t, "all delivered", func() bool { return len(a.delivered()) == 10 && len(b.delivered()) == 10 })
	got := append(a.delivered(), b.delivered()...)
	slices.SortFunc(got, func(x, y broker.Message) int { return int(x.Pos) - int(y.Pos) })
	for i, m := range got {
		if m.Offset() != receipts[i].Offset || m.At != receipts[i].At || receipts[i].Duplicate {
			t.Errorf("message %d is %+v, its receipt %+v", i, m, receipts[i])
		}
		if m.Body != fmt.Sprint("body ", i) || m.Seq != uint64(i/2+1) {
			t.Errorf("message %d is %+v", i, m)
		}
		if parsed, err := broker.ParseOffset(m.Offset().String()); err != nil || parsed != m.Offset() {
			t.Errorf("offset %v reads as %v, %v", m.Offset(), parsed, err)
		}
	}
}

func testBatch(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	o := &order{}
	rooms := []*recorder{followOrdered(t, relay, "a", o), followOrdered(t, relay, "b", o)}
	var pubs []broker.Publication
	for i := range 60 {
		pubs = append(pubs, broker.Publication{Room: rooms[i%2].name, User: "ann", ID: fmt.Sprint(i), Body: fmt.Sprint("m", i/2)})
	}
	pubs = append(pubs, pubs[7]) // one that the batch has already
	receipts := relay.Publish(t.Context(), pubs...)
	if len(receipts) != len(pubs) {
		t.Fatalf("%d receipts for %d publications", len(receipts), len(pubs))
	}
	var pos uint64
	for i, r := range receipts[:60] {
		if r.Err != nil || r.Duplicate || r.Offset.Pos <= pos {
			t.Errorf("receipt %d: %+v after position %d", i, r, pos)
		}
		pos = r.Offset.Pos
	}
	if last := receipts[60]; !last.Duplicate || last.Offset != receipts[7].Offset {
		t.Errorf("the repeat got %+v, the first %+v", last, receipts[7])
	}
	for _, r := range rooms {
		r.has(numbered("m", 0, 30))
	}
}

// publishers has everyone of relays publish n messages in each of rooms, all at once, and returns
// when all are stored.
func publishers(t *testing.T, relays []*Relay, rooms []string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for at, relay := range relays {
		for _, room := range rooms {
			wg.Go(func() {
				for i := range n {
					id := fmt.Sprint(at, "-", i)
					r := relay.Publish(t.Context(), broker.Publication{Room: room, User: "ann", ID: id, Body: id})
					if r[0].Err != nil {
						t.Errorf("publish: %v", r[0].Err)
					}
				}
			})
		}
	}
	wg.Wait()
}

// sameOrder checks that all recorders of a room have the same messages in the same order, each
// once, n of them.
func sameOrder(t *testing.T, n int, recorders []*recorder) {
	t.Helper()
	first := map[string][]broker.Message{}
	for _, r := range recorders {
		what := func() string { return fmt.Sprintf("%s: all %d messages, but %s", r.name, n, r) }
		eventually(t, what, func() bool { return len(r.delivered()) >= n })
		got := r.delivered()
		seen := map[string]bool{}
		for _, m := range got {
			if seen[m.Body] {
				t.Errorf("%s: %q delivered twice", r.name, m.Body)
			}
			seen[m.Body] = true
		}
		if len(seen) != n || len(r.told()) != 1 {
			t.Errorf("%s: %d different messages, want %d; loaded for %q", r.name, len(seen), n, r.told())
		}
		if first[r.name] == nil {
			first[r.name] = got
		} else if !slices.Equal(first[r.name], got) {
			t.Errorf("%s: another order than elsewhere", r.name)
		}
	}
}

func testOneOrder(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	o, rooms := &order{}, []string{"a", "b", "c"}
	var all []*recorder
	for _, room := range rooms {
		all = append(all, followOrdered(t, relay, room, o))
	}
	publishers(t, []*Relay{relay, relay}, rooms, 50)
	sameOrder(t, 100, all)
}

func testSharedOrder(t *testing.T, h Harness) {
	o := defaults()
	o.History = 1000
	store := h.New(t, o)
	relays := []*Relay{store.Open(t), store.Open(t), store.Open(t)}
	rooms := []string{"a", "b"}
	var all []*recorder
	for _, relay := range relays {
		order := &order{}
		for _, room := range rooms {
			all = append(all, followOrdered(t, relay, room, order))
		}
	}
	publishers(t, relays, rooms, 100)
	sameOrder(t, 300, all)
}

func testIdempotent(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	r := follow(t, relay, "a")
	checkRepeats(t, relay, relay)
	r.has([]string{"ann's", "ben's"})
	page, _, err := relay.History(t.Context(), "a", broker.Offset{}, 10)
	if err != nil || !slices.Equal(bodies(page), []string{"ann's", "ben's"}) {
		t.Errorf("history %q, %v", bodies(page), err)
	}
}

func testSharedIdempotent(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	checkRepeats(t, one, other)
}

// checkRepeats publishes on one relay, and the same again on the other.
func checkRepeats(t *testing.T, one, other broker.Broker) {
	t.Helper()
	ann := publish(t, one, "a", "ann", "1", "ann's")
	ben := publish(t, one, "a", "ben", "1", "ben's")
	if ben.Duplicate || ben.Offset.Seq != 2 {
		t.Errorf("another user's message of the same id: %+v", ben)
	}
	for range 2 {
		again := publish(t, other, "a", "ann", "1", "something else")
		if !again.Duplicate || again.Offset != ann.Offset || again.At != ann.At {
			t.Errorf("the repeat got %+v, the first %+v", again, ann)
		}
	}
	if r := publish(t, other, "b", "ann", "1", "elsewhere"); r.Duplicate || r.Offset.Seq != 1 {
		t.Errorf("the same id in another room: %+v", r)
	}
}

// An id is known however many others come between, whether or not its message is kept still.
func testIdempotencyLasts(t *testing.T, h Harness) {
	o := defaults()
	o.History = 4
	store := h.New(t, o)
	relay := store.Open(t)
	first := publish(t, relay, "a", "ann", "first", "first")
	for i := range 3 {
		publishMany(t, relay, "a", fmt.Sprint(i, "-"), 300)
		if got := publish(t, relay, "a", "ann", "first", "again"); !got.Duplicate || got.Offset != first.Offset || got.At != first.At {
			t.Errorf("after %d others the repeat got %+v, the first %+v", 300*(i+1), got, first)
		}
	}
}

// An id outlives a history that expires sooner.
func testIdempotencyOutlivesHistory(t *testing.T, h Harness) {
	o := defaults()
	o.TTL = 50 * time.Millisecond
	relay := h.New(t, o).Open(t)
	first := publish(t, relay, "a", "ann", "1", "first")
	eventually(t, "expired", func() bool {
		page, _, err := relay.History(t.Context(), "a", broker.Offset{}, 10)
		return err == nil && len(page) == 0
	})
	if got := publish(t, relay, "a", "ann", "1", "again"); !got.Duplicate || got.Offset != first.Offset {
		t.Errorf("the repeat got %+v, the first %+v", got, first)
	}
	if got := publish(t, relay, "a", "ann", "2", "second"); got.Duplicate || got.Offset.Seq != 1 || got.Offset.Pos <= first.Offset.Pos {
		t.Errorf("the first of a new history is %+v", got)
	}
}
