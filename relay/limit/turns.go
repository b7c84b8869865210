package limit

import (
	"container/heap"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Of a processor's time a key has one part in turnParts in the long run, and turnSlack of it at once, in which
// time nothing of it waits. What it wants beyond that waits its turn. What it owes past maxOwed is forgotten, and
// for what it owes nobody waits for longer than maxTurn, beside those whose turn comes before.
//
// Turns come one after the other, as the time that they take comes. What could not be had since the machine had
// else to do comes late, all at once, but no more than turnLate of it: others would have to wait for that.
const (
	turnParts = 4
	turnSlack = 4 * time.Millisecond
	turnLate  = time.Millisecond
	maxTurn   = time.Second
	maxOwed   = 6 * time.Second
)

// newcomers is how many flows those share one of which nothing else is known.
const newcomers = 8

// Turns share out a processor's time by key: whoever wants much of it waits, so that others come first. The
// time is not measured: whoever works says what the work costs, about.
//
// The accounts are what Buckets are: those that owe nothing are forgotten, unless somebody holds them, and past
// maxKeys all others share one.
type Turns[K comparable] struct {
	began time.Time // immutable
	most  int       // immutable

	mu     sync.Mutex // guards what follows
	keys   map[K]*Turn
	others *Turn
	sweep  time.Time // not before
}

// Turn is the account of one key. Nil is one of which nothing is asked.
//
// Those that wait are served as in start-time fair queueing (Goyal, Vin and Cheng, 1996): each flow has the same part of
// what there is, so who wants less than that waits for little more than the one whose turn it is, however many others
// want all that they can get.
type Turn struct {
	began   time.Time    // immutable
	holders atomic.Int64 // that have entered

	mu        sync.Mutex    // guards what follows
	due       time.Duration // since began: when all that was taken is paid for
	queue     waiters
	queued    time.Duration // that those in queue will take
	since     time.Duration // since began: when those in queue began to wait, or it was somebody's turn
	served    time.Duration // by how much those are served who always want something
	order     uint64        // of the last that came to wait
	newcomers Flow
	timer     *time.Timer // for the next turn; nil: nobody has waited yet
}

// Flow is what one connection takes of its key's time. The zero value has taken nothing.
type Flow struct {
	// guarded by the mu of the one Turn of which it is
	served time.Duration
	gone   bool // nothing of it waits any more
}

// waiter is one who waits for a turn.
type waiter struct {
	flow  *Flow
	start time.Duration // what its flow, and those before it, have been served by then
	rests bool          // its flow has had less than others of late: it comes before those that have had as much
	order uint64        // of those that wait; the first comes first
	cost  time.Duration
	ready chan struct{} // closed when it is its turn
}

// waiters is a heap.
type waiters []*waiter

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (ws waiters) Len() int { return len(ws) }
func (ws waiters) Less(i, j int) bool {
	a, b := ws[i], ws[j]
	switch {
	case a.start != b.start:
		return a.start < b.start
	case a.rests != b.rests:
		return a.rests
	}
	return a.order < b.order
}
func (ws waiters) Swap(i, j int) { ws[i], ws[j] = ws[j], ws[i] }
func (ws *waiters) Push(x any)   { *ws = append(*ws, x.(*waiter)) }
func (ws *waiters) Pop() any {
	last := len(*ws) - 1
	w := (*ws)[last]
	(*ws)[last] = nil
	*ws = (*ws)[:last]
	return w
}

// NewTurns returns accounts on which nothing is owed.
func NewTurns[K comparable]() *Turns[K] {
	now := time.Now()
	return &Turns[K]{began: now, most: maxKeys, keys: map[K]*Turn{}, others: &Turn{began: now}}
}

// Of returns a key's account, for something that is over at once.
func (ts *Turns[K]) Of(key K) *Turn {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.of(key)
}

// Enter returns a key's account for a connection that holds it, until Leave.
func (ts *Turns[K]) Enter(key K) *Turn {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.of(key)
	t.holders.Add(1)
	return t
}

// Leave ends what Enter began.
func (t *Turn) Leave() {
	if t != nil {
		t.holders.Add(-1)
	}
}

// of returns a key's account. ts.mu is held.
func (ts *Turns[K]) of(key K) *Turn {
	if t := ts.keys[key]; t != nil {
		return t
	}
	if now := time.Now(); len(ts.keys) >= ts.most/2 && !now.Before(ts.sweep) {
		ts.sweep = now.Add(sweepInterval)
		for key, t := range ts.keys {
			if t.holders.Load() == 0 && t.Owed() == 0 {
				delete(ts.keys, key)
			}
		}
	}
	if len(ts.keys) >= ts.most {
		return ts.others
	}
	t := &Turn{began: ts.began}
	ts.keys[key] = t
	return t
}

// Crowd counts those that hold the account.
func (t *Turn) Crowd() *atomic.Int64 {
	if t == nil {
		return nil
	}
	return &t.holders
}

// Take takes the time that something of a flow costs, which has been done, or is not to wait. Nil is nobody's flow.
func (t *Turn) Take(f *Flow, cost time.Duration) {
	if t == nil || cost <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if f != nil {
		f.served = max(f.served, t.served) + cost
	}
	t.spend(time.Since(t.began), cost)
}

// Await waits for the turn of something of a flow that costs so much time. Nil is the flow of all that have none.
func (t *Turn) Await(f *Flow, cost time.Duration) (waited bool) {
	if t == nil {
		return false
	}
	w := t.enter(f, cost)
	if w == nil {
		return false
	}
	<-w.ready
	return true
}

// enter returns who is to wait, or nil if nobody is.
func (t *Turn) enter(f *Flow, cost time.Duration) *waiter {
	now := time.Since(t.began)
	t.mu.Lock()
	defer t.mu.Unlock()
	part := cost
	if f == nil {
		f, part = &t.newcomers, cost/newcomers
	}
	start, rests := max(f.served, t.served), f.served < t.served
	f.served = start + part
	if len(t.queue) == 0 && t.due <= now+turnSlack || f.gone {
		t.served = max(t.served, start)
		t.spend(now, cost)
		return nil
	}
	t.order++
	w := &waiter{flow: f, start: start, rests: rests, order: t.order, cost: cost, ready: make(chan struct{})}
	t.queued += cost
	if heap.Push(&t.queue, w); len(t.queue) == 1 {
		t.since = now
		t.arm(now)
	}
	return w
}

// spend takes time. t.mu is held.
func (t *Turn) spend(now, cost time.Duration) {
	t.due = min(max(t.due, now)+turnParts*cost, now+maxOwed)
}

// next is when it is somebody's turn, since began. t.mu is held.
func (t *Turn) next() time.Duration { return min(t.due-turnSlack, t.since+maxTurn) }

// arm has serve called at the next turn. t.mu is held.
func (t *Turn) arm(now time.Duration) {
	if t.timer == nil {
		t.timer = time.AfterFunc(t.next()-now, t.serve)
		return
	}
	t.timer.Reset(t.next() - now)
}

// serve ends the wait of those whose turn it is.
func (t *Turn) serve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.began)
	t.due = max(t.due, now+turnSlack-turnLate)
	for len(t.queue) > 0 && t.next() <= now {
		w := heap.Pop(&t.queue).(*waiter)
		t.served, t.since = w.start, now
		t.queued -= w.cost
		t.spend(now, w.cost)
		close(w.ready)
	}
	if len(t.queue) > 0 {
		t.arm(now)
	}
}

// Forgo ends the wait of a flow's, whose connection ends. From then on nothing of it waits.
func (t *Turn) Forgo(f *Flow) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f.gone = true
	now := time.Since(t.began)
	t.queue = slices.DeleteFunc(t.queue, func(w *waiter) bool {
		if w.flow != f {
			return false
		}
		t.queued -= w.cost
		t.spend(now, w.cost)
		close(w.ready)
		return true
	})
	heap.Init(&t.queue)
}

// IsWanted reports whether somebody waits.
func (t *Turn) IsWanted() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) > 0
}

// Owed is how long it takes until all that was taken is paid for, and all that wait have been served.
func (t *Turn) Owed() time.Duration {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, t.due-time.Since(t.began)) + turnParts*t.queued
}

// Crowd is how many connections of a key halve what each of them may do at once; twice as many leave a third.
const Crowd = 100

// partOf says into how many parts bursts are divided in a crowd. Nil is nobody.
func partOf(crowd *atomic.Int64) int {
	if crowd == nil {
		return 1
	}
	return 1 + int(min(crowd.Load(), math.MaxInt32))/Crowd
}
