package hook

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// turns are those to ask the app, of which there are so many at a time. They are given by caller, which is an
// address: who has the app be slow could else keep them all, and the breaker open, and nobody else would be
// asked about.
type turns struct {
	// immutable
	most  int // at a time
	queue int // that may wait

	running sync.WaitGroup // those that are given

	mu      sync.Mutex // guards what follows
	closed  bool
	given   int
	waiting int
	callers map[netip.Addr]*caller
	line    []*caller // who waits, in the order in which they are next
	swept   time.Time
}

// caller is one address.
type caller struct {
	given  int
	wait   []chan error // told nil when it is their turn
	failed bool         // the app did not answer the last
	last   time.Time    // when that was
}

// Bounds of callers.
const (
	callerShare = 2                // a caller has at most this part, a half, of the turns and of the queue, while there are others
	callerTime  = 10 * time.Minute // for which one who has asked is there
	maxCallers  = 10_000           // that are told apart: others count as one
)

func newTurns(most, queue int) *turns {
	return &turns{most: most, queue: queue, callers: map[netip.Addr]*caller{}}
}

// take waits for a turn, which is to be given back.
func (t *turns) take(ctx context.Context, from netip.Addr) (*caller, error) {
	t.mu.Lock()
	c := t.caller(from)
	if len(t.line) == 0 && t.mayHave(c) {
		t.give(c)
		t.mu.Unlock()
		return c, nil
	}
	if len(c.wait) >= t.share(t.queue) || t.waiting >= t.queue && !t.makeRoom(c) {
		t.mu.Unlock()
		return nil, errQueue
	}
	turn := make(chan error, 1)
	t.enqueue(c, turn)
	t.next() // those before it may have all of their share
	t.mu.Unlock()
	select {
	case err := <-turn:
		if err != nil {
			return nil, err
		}
		if ctx.Err() == nil {
			return c, nil
		}
	case <-ctx.Done():
		if t.forgo(c, turn) || <-turn != nil {
			return nil, errTurn
		}
	}
	t.back(c)
	return nil, errTurn
}

// back gives a turn back.
func (t *turns) back(c *caller) {
	defer t.running.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given--
	c.given--
	t.next()
}

// note remembers whether the app has answered a caller.
func (t *turns) note(c *caller, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.failed, c.last = failed, time.Now()
}

// mostFail reports whether of those who have asked of late more than half got no answer.
func (t *turns) mostFail() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, failed := 0, 0
	for _, c := range t.callers {
		if time.Since(c.last) > breakerWindow {
			continue
		}
		if all++; c.failed {
			failed++
		}
	}
	return 2*failed > all
}

// close waits until all turns are given back. None is given any more.
func (t *turns) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.running.Wait()
}

// caller returns who an address is, who asks now.
func (t *turns) caller(from netip.Addr) *caller {
	now := time.Now()
	if now.Sub(t.swept) > callerTime/10 {
		t.sweep(now)
	}
	c := t.callers[from]
	if c == nil && len(t.callers) >= maxCallers {
		from = netip.Addr{}
		c = t.callers[from]
	}
	if c == nil {
		c = &caller{}
		t.callers[from] = c
	}
	c.last = now
	return c
}

// sweep forgets who has not asked for a while.
func (t *turns) sweep(now time.Time) {
	t.swept = now
	for from, c := range t.callers {
		if c.given == 0 && len(c.wait) == 0 && now.Sub(c.last) > callerTime {
			delete(t.callers, from)
		}
	}
}

// share is how many of all one caller may have.
func (t *turns) share(all int) int {
	if len(t.callers) == 1 {
		return all
	}
	return max(1, all/callerShare)
}

func (t *turns) mayHave(c *caller) bool {
	return !t.closed && t.given < t.most && c.given < t.share(t.most)
}

func (t *turns) give(c *caller) {
	t.running.Add(1)
	t.given++
	c.given++
}

// makeRoom sends away the last of those who wait for the caller that most wait for. It reports false if no
// less wait for c.
func (t *turns) makeRoom(c *caller) bool {
	var most *caller
	for _, is := range t.line {
		if most == nil || len(is.wait) > len(most.wait) {
			most = is
		}
	}
	if most == nil || len(most.wait) < len(c.wait)+2 {
		return false
	}
	last := len(most.wait) - 1
	most.wait[last] <- errQueue
	most.wait = most.wait[:last]
	t.waiting--
	return true
}

func (t *turns) enqueue(c *caller, turn chan error) {
	if len(c.wait) == 0 {
		t.line = append(t.line, c)
	}
	c.wait = append(c.wait, turn)
	t.waiting++
}

// forgo takes who waits out of the line. It reports false if they have been told something.
func (t *turns) forgo(c *caller, turn chan error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(c.wait, turn)
	if i < 0 {
		return false
	}
	c.wait = slices.Delete(c.wait, i, i+1)
	t.waiting--
	if len(c.wait) == 0 {
		t.line = slices.DeleteFunc(t.line, func(is *caller) bool { return is == c })
	}
	return true
}

// next gives turns to those who are next: one to each caller, and then again.
func (t *turns) next() {
	for {
		i := slices.IndexFunc(t.line, t.mayHave)
		if i < 0 {
			return
		}
		c := t.line[i]
		t.line = slices.Delete(t.line, i, i+1)
		t.give(c)
		c.wait[0] <- nil
		c.wait = c.wait[1:]
		t.waiting--
		if len(c.wait) > 0 {
			t.line = append(t.line, c)
		}
	}
}
