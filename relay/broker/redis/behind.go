package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// Bounds of what is written behind.
const (
	writeBatch = 512     // marks written in one trip
	maxPast    = 1 << 14 // marks of what is no longer here, kept while Redis is away: of places, about 6 MB
)

// writeBehind keeps what Redis holds in step with what is so here. It does not queue what
// happened: it marks what may differ, and its owner writes what is so then, many in one trip; what
// could not be written stays marked. K is what is marked, A what somebody waits for.
//
// Marks of what is here are as many as that; those of what is not, the owner bounds by maxPast.
type writeBehind[K comparable, A any] struct {
	// immutable
	b    *Broker
	wake chan struct{} // something is marked, or due
	soon chan struct{} // something is fresh
	quit chan struct{} // closed by stop
	done chan struct{} // closed when run has ended

	mu    sync.Mutex // guards what follows and what its owner says, never across I/O
	marks map[K][]chan A
	order []K            // the marks, the earliest first; some may be gone from marks
	fresh map[K]struct{} // marked soon, if nothing does it before
	due   bool
	ended bool // nothing is marked any more
}

func newWriteBehind[K comparable, A any](b *Broker) writeBehind[K, A] {
	return writeBehind[K, A]{b: b, wake: make(chan struct{}, 1), soon: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}), marks: map[K][]chan A{}, fresh: map[K]struct{}{}, due: true}
}

// mark has k written; answer, if it is not nil, is what somebody waits on. mu is held.
func (w *writeBehind[K, A]) mark(k K, answer ...chan A) {
	w.markAgain(k, answer...)
	nudge(w.wake)
}

// markAgain marks k for the next time that anything is written. mu is held.
func (w *writeBehind[K, A]) markAgain(k K, answer ...chan A) {
	waiting, marked := w.marks[k]
	if !marked {
		w.compact()
		w.order = append(w.order, k)
	}
	w.marks[k] = append(waiting, answer...)
	delete(w.fresh, k)
}

// markSoon has k written after keepDelay, if nothing marks it before. mu is held.
func (w *writeBehind[K, A]) markSoon(k K) {
	w.fresh[k] = struct{}{}
	nudge(w.soon)
}

// check has all looked at that is here: Redis was away, and may have lost some of it.
func (w *writeBehind[K, A]) check() {
	w.mu.Lock()
	w.due = true
	w.mu.Unlock()
	nudge(w.wake)
}

func (w *writeBehind[K, A]) takeDue() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.due
	w.due = false
	return due
}

// ripen marks what is fresh.
func (w *writeBehind[K, A]) ripen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.fresh {
		w.mark(k)
	}
}

// forget takes back whatever was marked of k. mu is held.
func (w *writeBehind[K, A]) forget(k K) {
	delete(w.marks, k)
	delete(w.fresh, k)
}

// await returns what comes on answer, with which k was marked. The error says that it took too long.
func (w *writeBehind[K, A]) await(ctx context.Context, k K, answer chan A) (a A, err error) {
	timeout := time.NewTimer(connTimeout) // a context that ends takes several times the memory
	defer timeout.Stop()
	select {
	case a = <-answer:
		return a, nil
	case <-timeout.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveUpWaiting(k, answer)
	return a, unavailable(err)
}

// giveUpWaiting forgets somebody who waits for k no more. mu is held.
func (w *writeBehind[K, A]) giveUpWaiting(k K, answer chan A) {
	if waiting, marked := w.marks[k]; marked {
		w.marks[k] = slices.DeleteFunc(waiting, func(c chan A) bool { return c == answer })
	}
}

// answerAll answers those who wait for what is marked, which stays so.
func (w *writeBehind[K, A]) answerAll(a A) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, waiting := range w.marks {
		marked[K, A]{k, waiting}.answer(a)
		w.marks[k] = nil
	}
}

// compact takes what was forgotten out of order, once that is most of it. mu is held.
func (w *writeBehind[K, A]) compact() {
	if len(w.order) < 2*len(w.marks)+writeBatch {
		return
	}
	seen := make(map[K]bool, len(w.marks))
	w.order = slices.DeleteFunc(w.order, func(k K) bool {
		_, marked := w.marks[k]
		gone := !marked || seen[k]
		seen[k] = true
		return gone
	})
}

// run gives the owner its turns until stop, or the broker's end. turn is called when Redis can be
// reached; it writes what is marked, and looks at all that is here if that is due, as it may be
// still when turn returns. tick is called whenever all is due once more, also while Redis is away.
func (w *writeBehind[K, A]) run(every time.Duration, turn func(c rueidis.Client, due bool) (stillDue bool), tick func()) {
	defer w.b.wg.Done()
	defer close(w.done)
	ticker := time.NewTicker(max(every, 10*time.Millisecond))
	defer ticker.Stop()
	ripe := time.NewTimer(time.Hour)
	defer ripe.Stop()
	for due := false; ; {
		if c, err := w.b.use(); err == nil && w.b.feed.answers() {
			due = w.takeDue() || due
			due = turn(c, due)
		}
		select {
		case <-w.b.ctx.Done():
			return
		case <-w.quit:
			return
		case <-ticker.C:
			due = true
			tick()
		case <-w.soon:
			ripe.Reset(keepDelay)
		case <-ripe.C:
			w.ripen()
		case <-w.wake:
		}
	}
}

// answers reports whether the feed has caught up and Redis answers, whether or not it takes what is
// written: a Redis that is full still lets leases and sessions be renewed, and people leave.
func (f *feed) answers() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.phase == live && time.Since(f.probedAt) <= probeTimeout
}

// stop ends run.
func (w *writeBehind[K, A]) stop() {
	close(w.quit)
	<-w.done
}

// marked is one mark on its way to Redis.
type marked[K comparable, A any] struct {
	key     K
	waiting []chan A
}

func (m marked[K, A]) answer(a A) {
	for _, w := range m.waiting {
		w <- a
	}
}

// take returns the next marks and unmarks them. mu is held.
func (w *writeBehind[K, A]) take() (work []marked[K, A]) {
	for len(w.order) > 0 && len(work) < writeBatch {
		k := pop(&w.order)
		if waiting, ok := w.marks[k]; ok {
			work = append(work, marked[K, A]{k, waiting})
			delete(w.marks, k)
		}
	}
	return work
}

// flush writes what is marked, as far as anything gets through. prepare looks at what is so of the
// marked, while mu is held, and returns what writes that, when it is not.
func (w *writeBehind[K, A]) flush(prepare func([]marked[K, A]) (write func() error)) error {
	for {
		w.mu.Lock()
		work := w.take()
		if len(work) == 0 {
			w.mu.Unlock()
			return nil
		}
		write := prepare(work)
		w.mu.Unlock()
		if err := write(); err != nil {
			return err
		}
	}
}
