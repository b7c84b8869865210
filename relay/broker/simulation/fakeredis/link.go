package fakeredis

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Link is how one client machine reaches the service.
type Link struct {
	Delay, Jitter time.Duration // one way
	Bytes         int           // per second and direction; 0: no limit
	NoDial        bool          // new connections are refused
	Lost          bool          // nothing from the client gets through; connections stay open
	LostBack      bool          // nothing to the client does
}

// link is a Link and what stands on it.
type link struct {
	name string

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	is      Link
	lag     time.Duration // of subscriptions
	chance  uint64        // seeds what is left to chance on its connections
	dialed  uint64
}

func (l *link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// chances returns what decides of the delays of a connection that is made now, up and down: its own, so
// that they do not depend on what happens on others at the same moment.
func (l *link) chances() (up, down *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialed++
	return rand.New(rand.NewPCG(l.chance, 2*l.dialed)), rand.New(rand.NewPCG(l.chance, 2*l.dialed+1))
}

// travel is how long a parcel takes that is sent now, and at what pace.
func (l *link) travel(chance *rand.Rand, lagging bool) (delay time.Duration, pace int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delay = l.is.Delay
	if l.is.Jitter > 0 {
		delay += time.Duration(chance.Int64N(int64(l.is.Jitter)))
	}
	if lagging {
		delay += l.lag
	}
	return delay + time.Duration(chance.Int64N(1000)), l.is.Bytes // no two at the same moment
}

// passes waits while nothing gets through in a direction. It returns false if the connection ends.
func (l *link) passes(s *session, back bool) bool {
	for {
		l.mu.Lock()
		lost, changed := l.is.Lost, l.changed
		if back {
			lost = l.is.LostBack
		}
		l.mu.Unlock()
		if !lost {
			return true
		}
		select {
		case <-changed:
		case <-s.ended:
			return false
		}
	}
}
