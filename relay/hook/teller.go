package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// How a Teller tells.
const (
	tellers      = 16               // notices that are told at a time
	minTellPause = time.Second      // before a notice is told again that was not taken
	maxTellPause = 30 * time.Second // which grows up to this
	storePause   = time.Second      // before the store is asked again that did not answer
	downAfter    = tellers          // failures in a row after which one notice is tried at a time
	maxDownPause = 5 * time.Second  // between such tries
)

// Teller tells the app of presence: it takes notices from the store, as many relays do, and sends each until
// the app has taken it by any 2xx, or it is dead. One of which nobody knows whether the app has taken it is
// sent again.
type Teller struct {
	// immutable after Tell
	store   broker.Notices
	sender  *Sender
	log     *slog.Logger
	metrics *metrics.Metrics
	taking  context.Context // ends first
	stop    context.CancelFunc
	life    context.Context // ends when what was taken is settled, or not in time
	end     context.CancelFunc
	running sync.WaitGroup
	freed   chan struct{} // holds one for each that may be told beside those that are

	complaints rate.Sometimes // lines of log about notices that died

	mu     sync.Mutex // guards what follows
	failed int        // in a row
}

// Tell begins to tell. Close ends it.
func Tell(store broker.Notices, s *Sender, log *slog.Logger) *Teller {
	t := &Teller{store: store, sender: s, log: log, metrics: s.cfg.Metrics, freed: make(chan struct{}, tellers),
		complaints: rate.Sometimes{First: 5, Interval: 10 * time.Second}}
	t.taking, t.stop = context.WithCancel(context.Background())
	t.life, t.end = context.WithCancel(context.Background())
	for range tellers {
		t.freed <- struct{}{}
	}
	t.running.Go(t.run)
	return t
}

// closeTimeout is how long Close waits for what is being told, beyond what the app may take to answer.
const closeTimeout = 2 * time.Second

// Close takes no more notices, and waits for what is being told. What is not settled then, another relay tells
// again. The Sender is to be closed behind it.
func (t *Teller) Close() {
	t.stop()
	defer time.AfterFunc(t.sender.cfg.Timeout+closeTimeout, t.end).Stop()
	t.running.Wait()
	t.end()
}

// run takes notices, as many as can be told.
func (t *Teller) run() {
	for t.taking.Err() == nil {
		free := t.free()
		if free == 0 {
			return
		}
		some, err := t.store.TakeNotices(t.taking, free)
		for _, n := range some {
			t.running.Go(func() {
				t.tell(n)
				t.freed <- struct{}{}
			})
		}
		for range free - len(some) {
			t.freed <- struct{}{}
		}
		if errors.Is(err, broker.ErrClosed) {
			return
		}
		if err != nil {
			t.wait(t.taking, storePause)
		}
	}
}

// free waits until a notice can be told, and returns how many can. While the app is down that is one at a
// time, and after a pause: those that wait come to no harm, and an app that comes up is not flooded. It returns
// 0 when t is closed.
func (t *Teller) free() (n int) {
	pause := t.downPause()
	if pause > 0 && !t.wait(t.taking, pause) {
		return 0
	}
	select {
	case <-t.freed:
	case <-t.taking.Done():
		return 0
	}
	for n = 1; pause == 0; n++ {
		select {
		case <-t.freed:
		default:
			return n
		}
	}
	return n
}

// wait reports whether ctx has outlasted a pause.
func (t *Teller) wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// downPause is how long to wait before the app is tried again: not at all unless it has failed and failed.
func (t *Teller) downPause() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed < downAfter {
		return 0
	}
	return min(time.Duration(t.failed-downAfter+1)*maxDownPause/8, maxDownPause)
}

func (t *Teller) noteOutcome(taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed++; taken {
		t.failed = 0
	}
}

// told is a notice as the app reads it.
type told struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	At    int64           `json:"at"`
	User  json.RawMessage `json:"user,omitempty"`
	Room  string          `json:"room,omitempty"`
	Fence uint64          `json:"fence"`
}

// tell sends a notice once, and settles it or puts it off.
func (t *Teller) tell(n broker.Notice) {
	err := t.send(n)
	t.noteOutcome(err == nil)
	if err == nil {
		t.metrics.NoticeSeconds.Observe(n.Tried().Seconds())
		t.metrics.Notices.Of(metrics.NoticeTold).Inc()
		t.settle(n)
		return
	}
	pause := min(max(n.Tried(), minTellPause), maxTellPause)
	dead, storeErr := t.store.RetryNotice(t.life, n, pause-rand.N(pause/4), err.Error()) // what fails comes again by itself
	switch {
	case storeErr != nil:
	case dead:
		t.metrics.Notices.Of(metrics.NoticeDead).Inc()
		t.complaints.Do(func() {
			t.log.Warn("the app did not take a notice of presence in time: it is dead, and can be sent again", "type", n.Kind, "id", n.ID, "error", err)
		})
	default:
		t.metrics.Notices.Of(metrics.NoticeRetried).Inc()
	}
}

func (t *Teller) send(n broker.Notice) error {
	is := told{Type: n.Kind, ID: n.ID, At: n.At, Room: n.Room, Fence: n.Fence}
	if n.User != "" {
		is.User = json.RawMessage(n.User)
	}
	body, err := json.Marshal(is)
	if err != nil {
		return err
	}
	a, err := t.sender.Send(t.life, metrics.HookPresence, n.ID, body)
	if err == nil && !a.OK() {
		err = fmt.Errorf("it answered %d", a.Status)
	}
	return err
}

// settle notes that the app has taken a notice: again and again while the store does not answer, for then the
// notice is given to another relay.
func (t *Teller) settle(n broker.Notice) {
	for t.store.AckNotice(t.life, n) != nil && time.Now().Before(n.Claim.Until) {
		if !t.wait(t.life, storePause) {
			return
		}
	}
}
