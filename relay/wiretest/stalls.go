package wiretest

import (
	"sync"
	"testing"
	"time"
)

// How often a watch looks, and what it takes for a stall.
const (
	stallTick = 5 * time.Millisecond
	stallMin  = 20 * time.Millisecond
)

// Stalls notes when this process got no processor, so that a test can hold a time that passed
// against what is promised of it, and not against how busy the machine is.
type Stalls struct {
	mu   sync.Mutex // guards what follows
	last time.Time
	all  []stall
}

type stall struct{ from, to time.Time }

// WatchStalls watches until the test ends.
func WatchStalls(t testing.TB) *Stalls {
	s := &Stalls{last: time.Now()}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(stallTick)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				s.look(time.Now())
			}
		}
	})
	t.Cleanup(func() { close(done); watching.Wait() })
	return s
}

func (s *Stalls) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last) > stallMin {
		s.all = append(s.all, stall{s.last.Add(stallTick), now})
	}
	s.last = now
}

// Since returns how much time there was since a moment.
func (s *Stalls) Since(from time.Time) time.Duration {
	now := time.Now()
	s.look(now) // this may be the first to run again
	return s.Between(from, now)
}

// Between returns how much time there was between two moments that have passed.
func (s *Stalls) Between(from, to time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := to.Sub(from)
	for _, one := range s.all {
		first, last := one.from, one.to
		if first.Before(from) {
			first = from
		}
		if last.After(to) {
			last = to
		}
		if last.After(first) {
			had -= last.Sub(first)
		}
	}
	return had
}
