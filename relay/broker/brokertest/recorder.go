package brokertest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"setu/relay/broker"
)

// order is where one relay is: over all of its rooms, positions rise.
type order struct {
	mu    sync.Mutex
	epoch string
	pos   uint64
}

// recorder is a Subscriber that keeps what it is told and holds it against the contract.
type recorder struct {
	t     *testing.T
	name  string
	order *order // of its relay; nil: not looked at

	busy    atomic.Bool // a call is under way
	stopped atomic.Bool // no calls may come any more

	mu       sync.Mutex
	reasons  []string // of loads
	snapshot broker.Snapshot
	tail     broker.Offset
	loaded   []broker.Message // the last snapshot's, and what was delivered since
	all      []broker.Message // delivered, over all loads
	signals  []broker.Signal
	changes  []broker.Change
	missed   int // times that changes may have gone by unheard
}

// follow subscribes a recorder to a room until the test ends.
func follow(t *testing.T, b broker.Broker, room string) *recorder {
	t.Helper()
	return followOrdered(t, b, room, nil)
}

func followOrdered(t *testing.T, b broker.Broker, room string, o *order) *recorder {
	t.Helper()
	r := &recorder{t: t, name: room, order: o}
	stop, err := b.Subscribe(t.Context(), room, r, 0)
	if err != nil {
		t.Fatalf("subscribe to %q: %v", room, err)
	}
	if n := len(r.told()); n != 1 {
		t.Fatalf("%s: %d loads when Subscribe returned, want 1", room, n)
	}
	t.Cleanup(func() {
		stop()
		r.stopped.Store(true)
	})
	return r
}

// enter marks a call; they come one at a time, and none comes after the end.
func (r *recorder) enter(what string) (leave func()) {
	if r.stopped.Load() {
		r.t.Errorf("%s: %s after stop", r.name, what)
	}
	if !r.busy.CompareAndSwap(false, true) {
		r.t.Errorf("%s: %s while another call is under way", r.name, what)
	}
	r.mu.Lock()
	return func() {
		r.mu.Unlock()
		r.busy.Store(false)
	}
}

func (r *recorder) Load(s broker.Snapshot, reason string) {
	defer r.enter("Load")()
	if first := len(r.reasons) == 0; first != (reason == "") {
		r.t.Errorf("%s: load %d has reason %q", r.name, len(r.reasons), reason)
	}
	r.reasons = append(r.reasons, reason)
	for i, m := range s.Messages {
		if m.Room != r.name || m.Epoch != s.Tail.Epoch {
			r.t.Errorf("%s: snapshot holds %+v", r.name, m)
		}
		if i > 0 {
			r.checkFollows(s.Messages[i-1].Offset(), m)
		}
	}
	if n := len(s.Messages); n > 0 && s.Messages[n-1].Offset() != s.Tail {
		r.t.Errorf("%s: the snapshot ends with %v, its tail is %v", r.name, s.Messages[n-1].Offset(), s.Tail)
	} else if n == 0 && s.Tail.Seq != 0 {
		r.t.Errorf("%s: the empty snapshot has tail %v", r.name, s.Tail)
	}
	r.snapshot, r.tail, r.loaded = s, s.Tail, slices.Clone(s.Messages)
}

func (r *recorder) Deliver(m broker.Message) {
	defer r.enter("Deliver")()
	if len(r.reasons) == 0 {
		r.t.Errorf("%s: delivered before loaded", r.name)
	}
	r.checkFollows(r.tail, m)
	if r.order != nil {
		r.order.check(r.t, m)
	}
	r.tail = m.Offset()
	r.loaded, r.all = append(r.loaded, m), append(r.all, m)
}

func (r *recorder) Signal(s broker.Signal) {
	defer r.enter("Signal")()
	r.signals = append(r.signals, s)
}

func (r *recorder) Presence(c broker.Change) {
	defer r.enter("Presence")()
	if c.Missed {
		r.missed++
		return
	}
	r.changes = append(r.changes, c)
}

// refreshed waits until r was told to read anew who is there.
func (r *recorder) refreshed() {
	r.t.Helper()
	eventually(r.t, "told that presence changes were missed", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.missed > 0
	})
}

func (r *recorder) checkFollows(tail broker.Offset, m broker.Message) {
	begins := m.Seq == 1 && m.Prev == ""
	seq := tail.Seq + 1
	if m.Note != nil {
		seq = tail.Seq
	}
	goesOn := m.Seq == seq && m.Prev == tail.Digest
	if m.Room != r.name || m.Epoch != tail.Epoch || m.Pos <= tail.Pos || m.Digest == "" || !begins && !goesOn {
		r.t.Errorf("%s: %+v after %v", r.name, m, tail)
	}
}

func (o *order) check(t *testing.T, m broker.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.epoch == m.Epoch && m.Pos <= o.pos {
		t.Errorf("position %d in %q delivered after %d", m.Pos, m.Room, o.pos)
	}
	o.epoch, o.pos = m.Epoch, m.Pos
}

// told are the reasons of all loads so far.
func (r *recorder) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reasons)
}

// state is what a member would have: the last snapshot and what was delivered since.
func (r *recorder) state() []broker.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.loaded)
}

func (r *recorder) delivered() []broker.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

func (r *recorder) heard() []broker.Signal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.signals)
}

// moves are the presence changes so far, as "+<count> <user>", "-<count> <user>" and, of a user who
// is renamed, "=<count> <user>".
func (r *recorder) moves() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.changes {
		sign := "-"
		switch {
		case c.Joined:
			sign = "+"
		case c.Renamed:
			sign = "="
		}
		out = append(out, fmt.Sprint(sign, c.Count, " ", c.User))
	}
	return out
}

// has waits until the member's state is want.
func (r *recorder) has(want []string) {
	r.t.Helper()
	r.ends(want)
	if got := bodies(r.state()); !slices.Equal(got, want) {
		r.t.Fatalf("%s: has %d messages %.300q, want %d", r.name, len(got), got, len(want))
	}
}

// ends waits until the member's state ends with want.
func (r *recorder) ends(want []string) {
	r.t.Helper()
	what := func() string {
		return fmt.Sprintf("%s: %d messages that end with %q; it has %s", r.name, len(want), want[max(0, len(want)-1):], r)
	}
	eventually(r.t, what, func() bool {
		got := bodies(r.state())
		return len(got) >= len(want) && slices.Equal(got[len(got)-len(want):], want)
	})
}

// loads waits until it was loaded for these reasons, the first being "".
func (r *recorder) loads(want ...string) {
	r.t.Helper()
	what := func() string { return fmt.Sprintf("%s: loaded for %q, but for %q", r.name, want, r.told()) }
	eventually(r.t, what, func() bool { return len(r.told()) >= len(want) })
	if got := r.told(); !slices.Equal(got, want) {
		r.t.Fatalf("%s: loaded for %q, want %q", r.name, got, want)
	}
}

func (r *recorder) String() string {
	got := bodies(r.state())
	return fmt.Sprintf("%d: … %.120q", len(got), got[max(0, len(got)-4):])
}
