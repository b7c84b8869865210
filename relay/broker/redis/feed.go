package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// subscribeChunk is how many channels one command subscribes to.
const subscribeChunk = 512

// feed is what Redis fans out to this relay: one dedicated connection, subscribed to the rooms
// that have members here.
//
// A message takes this way: Redis' push -> receive -> (held while catching up) -> advance ->
// Subscriber. All of it happens under mu, which is never held across I/O: there is one order of
// positions for everything that this relay delivers.
type feed struct {
	// immutable
	b       *Broker
	channel string        // of this relay alone: for the health check, and for who resumes its sessions
	wake    chan struct{} // something stands in joining or leaving, or a catch-up was requested
	kick    chan struct{} // the connection is suspect: make another

	mu sync.Mutex // guards what follows

	// the connection
	phase        phase
	session      int       // counts connections: what an earlier one still pushes is not heard
	missingSince time.Time // since when something may have been missed; zero: nothing was
	subscribedAt time.Time
	probedAt     time.Time // when the health check last came round on this connection

	// where the feed is
	epoch   string
	pos     uint64        // all up to here has been delivered
	clock   time.Duration // what Redis' clock is ahead of ours
	trusted string        // the epoch to publish under; empty while none is known, or Redis refused it
	decided chan struct{} // closed when trusted is set
	passed  chan struct{} // closed when pos may have risen by a health check, or the epoch may have changed
	probing bool          // a health check is under way for somebody who waits for passed

	// its rooms
	rooms   map[string]*subscription
	joining []*subscription
	leaving []string
	held    hold
}

// phase is how far the feed's connection has come. It goes from each to the next, from live back to
// catchingUp when something is found missing, and from any to disconnected.
type phase int

const (
	disconnected phase = iota // no rooms can be added
	catchingUp                // subscribed; the streams are (to be) read, and what arrives meanwhile is held
	live                      // what arrives is delivered
)

// subscribed takes the feed from disconnected to catchingUp: all rooms are subscribed to.
func (f *feed) subscribed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.phase, f.subscribedAt = catchingUp, time.Now()
}

// requestCatchUp has the streams read before anything more is delivered. f.mu is held.
func (f *feed) requestCatchUp() {
	if f.phase == live {
		f.phase = catchingUp
	}
	nudge(f.wake)
}

// disconnect takes the feed back to the beginning: rooms stay, what was being added fails.
func (f *feed) disconnect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missingSince.IsZero() {
		f.missingSince = f.probedAt // all was well until then, at least
		if f.missingSince.IsZero() {
			f.missingSince = time.Now()
		}
	}
	f.session++
	f.phase, f.held, f.probedAt = disconnected, hold{}, time.Time{}
	f.joining = nil
	for name, s := range f.rooms {
		if s.loading {
			delete(f.rooms, name)
			s.answer <- tailAnswer{err: broker.ErrUnavailable}
		}
	}
	select {
	case <-f.kick: // it was about the connection that has just ended
	default:
	}
}

// subscription is one room of the feed. Its fields are guarded by feed.mu.
type subscription struct {
	room string
	sub  broker.Subscriber

	loading bool // subscribed or about to be; sub has not been loaded yet
	held    hold // while loading
	tail    broker.Offset
	tailAt  int64 // when the tail's message was stored, ms

	answer chan tailAnswer // what Redis said right after it took the subscription; buffered
}

type tailAnswer struct {
	tail tail
	err  error
}

func newFeed(b *Broker) *feed {
	return &feed{b: b, channel: b.keys.private + newEpoch(), wake: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		decided: make(chan struct{}), passed: make(chan struct{}), rooms: map[string]*subscription{}}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run keeps one subscribed connection until the broker closes. An outage is told once. A connection
// that was whole and is made again at the first try is none: services cut connections as a matter
// of course.
func (f *feed) run() {
	defer f.b.wg.Done()
	defer f.end()
	delay, told := reconnectDelay, false
	for {
		began := time.Now()
		whole, err := f.connect(func() {
			if told {
				f.b.log.Info("subscribed at Redis again")
			}
			told = false
		})
		f.disconnect()
		switch {
		case f.b.ctx.Err() != nil:
			return
		case errors.Is(err, errFormat):
			if !told {
				f.b.log.Error("refusing to serve: a later version of this relay, or another REDIS_PREFIX, is needed", "error", err)
			}
			told = true
		case whole && !told:
			f.b.log.Info("the subscription at Redis ended, making another", "error", f.b.redact(err))
		case !told:
			f.b.log.Warn("cannot subscribe at Redis, trying again", "error", f.b.redact(err))
			told = true
		}
		if whole && time.Since(began) > maxReconnect {
			delay = reconnectDelay
		}
		select {
		case <-f.b.ctx.Done():
			return
		case <-time.After(delay/2 + rand.N(delay/2)): // spread: all relays lose a Redis that restarts at once
		}
		delay = min(2*delay, maxReconnect)
	}
}

// connect is the life of one connection; whole reports whether it had caught up, which caughtUp is
// called upon.
func (f *feed) connect(caughtUp func()) (whole bool, err error) {
	if err := f.b.open(); err != nil {
		return false, err
	}
	c, release := (*f.b.client.Load()).Dedicate()
	defer release()
	defer c.Close()
	f.mu.Lock()
	f.session++
	session := f.session
	f.mu.Unlock()
	ended := c.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) { f.receive(session, m) }})
	if err := f.resubscribe(c); err != nil {
		return false, err
	}
	for {
		if err := f.catchUp(); err != nil {
			return whole, err
		}
		if !whole {
			whole = true
			caughtUp()
		}
		select {
		case <-f.b.ctx.Done():
			return whole, f.b.ctx.Err()
		case err := <-ended:
			if err == nil {
				err = errors.New("the connection was closed")
			}
			return whole, err
		case <-f.kick:
			return whole, errors.New("what is published does not come back")
		case <-f.wake:
			if err := f.change(c); err != nil {
				return whole, err
			}
		}
	}
}

// end lets go of all rooms: the broker is closed, and nobody is called any more.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session++
	f.phase, f.rooms, f.held = disconnected, map[string]*subscription{}, hold{}
}

// resubscribe subscribes to all rooms that are live here.
func (f *feed) resubscribe(c rueidis.DedicatedClient) error {
	f.mu.Lock()
	f.leaving = nil
	channels := []string{f.channel}
	for name := range f.rooms {
		channels = append(channels, f.b.keys.channel+name)
	}
	f.mu.Unlock()
	for some := range slices.Chunk(channels, subscribeChunk) {
		ctx, cancel := context.WithTimeout(f.b.ctx, callTimeout)
		err := c.Do(ctx, c.B().Subscribe().Channel(some...).Build()).Error()
		cancel()
		if err != nil {
			return err
		}
	}
	f.subscribed()
	nudge(f.wake) // for rooms that were left meanwhile
	f.sendProbe()
	return nil
}

// change carries out what was asked of the subscription since the last time. Each joining room's
// tail is read on the same connection right after, so that nothing can fall between.
func (f *feed) change(c rueidis.DedicatedClient) error {
	joining, gone := f.takeChanges()
	for some := range slices.Chunk(gone, subscribeChunk) {
		ctx, cancel := context.WithTimeout(f.b.ctx, callTimeout)
		err := c.Do(ctx, c.B().Unsubscribe().Channel(some...).Build()).Error()
		cancel()
		if err != nil {
			return f.refuse(joining, err)
		}
	}
	for some := range slices.Chunk(joining, subscribeChunk) {
		if err := f.join(c, some); err != nil {
			return err // disconnect answers those who wait
		}
	}
	return nil
}

// takeChanges returns the rooms to subscribe to and the channels to leave; a room that was left and
// came back, or the other way round, is as it is now.
func (f *feed) takeChanges() (joining []*subscription, gone []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.joining {
		if f.rooms[s.room] == s {
			joining = append(joining, s)
		}
	}
	for _, room := range f.leaving {
		if f.rooms[room] == nil {
			gone = append(gone, f.b.keys.channel+room)
		}
	}
	f.joining, f.leaving = nil, nil
	return joining, gone
}

func (f *feed) join(c rueidis.DedicatedClient, joining []*subscription) error {
	ctx, cancel := context.WithTimeout(f.b.ctx, callTimeout)
	defer cancel()
	channels := make([]string, len(joining))
	calls := make([]call, len(joining))
	for i, s := range joining {
		channels[i] = f.b.keys.channel + s.room
		calls[i] = call{keys: []string{f.b.keys.head, f.b.keys.stream + s.room}}
	}
	if err := c.Do(ctx, c.B().Subscribe().Channel(channels...).Build()).Error(); err != nil {
		return f.refuse(joining, err)
	}
	for i, r := range tailScript.run(ctx, c, calls...) {
		t, err := parseTail(joining[i].room, r)
		joining[i].answer <- tailAnswer{t, err}
	}
	return nil
}

// refuse fails those who wait for a subscription that did not come about.
func (f *feed) refuse(joining []*subscription, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range joining {
		if f.rooms[s.room] == s {
			delete(f.rooms, s.room)
		}
		s.answer <- tailAnswer{err: err}
	}
	return err
}
