package limit

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Of a processor's time a key has one part in turnParts in the long run, and turnSlack of it at once, in which
// time nothing of it waits. What it wants beyond that waits its turn, up to maxTurn; what it owes past maxOwed
// is forgotten.
const (
	turnParts = 4
	turnSlack = 4 * time.Millisecond
	maxTurn   = time.Second
	maxOwed   = 6 * time.Second
)

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
type Turn struct {
	began   time.Time    // immutable
	holders atomic.Int64 // that have entered
	due     atomic.Int64 // since began, in nanoseconds: when all that was taken is paid for
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

// Take takes the time that something costs, which is to wait for what was taken before it.
func (t *Turn) Take(cost time.Duration) (wait time.Duration) {
	if t == nil {
		return 0
	}
	now := time.Since(t.began)
	for {
		due := t.due.Load()
		from := max(time.Duration(due), now)
		to := min(from+turnParts*cost, now+maxOwed)
		if t.due.CompareAndSwap(due, int64(to)) {
			return min(max(0, from-now-turnSlack), maxTurn)
		}
	}
}

// Owed is how long it takes until all that was taken is paid for.
func (t *Turn) Owed() time.Duration {
	if t == nil {
		return 0
	}
	return max(0, time.Duration(t.due.Load())-time.Since(t.began))
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
