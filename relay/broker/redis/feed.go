package redis

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// How many rooms are dealt with in one call.
const (
	subscribeChunk = 512 // left, or joined at a time
	joinRooms      = 16  // joined in one call
)

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
	kick    chan error    // the connection is suspect: make another
	doubt   chan struct{} // Redis refused a write: the health check is due
	tell    chan struct{} // whether Redis takes what is written may have changed

	// owned by run
	left string // the epoch of which the log has told that it is left

	mu sync.Mutex // guards what follows

	// the connection
	phase        phase
	revoked      bool      // all revocations that held when it was made are known: before, nothing is delivered
	session      int       // counts connections: what an earlier one still pushes is not heard
	missingSince time.Time // since when something may have been missed; zero: nothing was
	subscribedAt time.Time
	answeredAt   time.Time     // when a catch-up last had an answer
	probedAt     time.Time     // when the health check last came round on this connection
	probeSent    uint64        // numbers health checks
	probeHeard   uint64        // the newest that came round
	timed        timed         // the one that is timed
	probeTimes   [32]time.Time // when the newest were sent, by number
	after        time.Time     // what is pushed now was published after that
	catchUps     int           // that followed one another
	caughtUpAt   time.Time     // when the last one ended
	dropped      int           // messages that could not follow, not yet told
	barred       error         // why Redis refuses to have the epoch moved on, as it is to be; nil if it does not
	refusal      error         // why Redis takes nothing that is written; nil if it does
	refused      int           // writes that it refused, not yet told
	refusedAt    uint64        // the newest health check that was sent before it last did not

	// where the feed is
	epoch   string
	former  []string      // epochs that it was in before, the latest last
	parted  bool          // some rooms are of another epoch already
	pos     uint64        // all up to here has been delivered
	places  placer        // of whom was heard
	witness witness       // the newest message that was acknowledged here
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
	f.trusted = "" // another server may be there next, with another past
	f.phase, f.held, f.probedAt, f.revoked = disconnected, hold{}, time.Time{}, false
	f.barred = nil
	f.refuseLoading()
	select {
	case <-f.kick: // it was about the connection that has just ended
	default:
	}
}

// refuseLoading fails what is being added, and returns the rooms. f.mu is held.
func (f *feed) refuseLoading() (rooms []string) {
	f.joining = nil
	for name, s := range f.rooms {
		if s.loading {
			delete(f.rooms, name)
			s.refuse(broker.ErrUnavailable)
			rooms = append(rooms, name)
		}
	}
	return rooms
}

// subscription is one room of the feed. Its fields are guarded by feed.mu.
type subscription struct {
	room string
	sub  broker.Subscriber
	list int // users that the snapshot is to list

	loading bool            // subscribed or about to be; sub has not been loaded yet
	held    hold            // while loading
	heard   []broker.Change // likewise, at most maxHeard
	tail    broker.Offset
	tailAt  int64  // when the tail's message was stored, ms
	big     uint64 // the sequence after which no body is large
	recent  recent

	answer chan stateAnswer // how Redis says that the room stood right after it took the subscription; buffered
}

type stateAnswer struct {
	now state
	err error
}

// refuse fails who waits for the subscription, if nothing else has answered yet.
func (s *subscription) refuse(err error) {
	select {
	case s.answer <- stateAnswer{err: err}:
	default:
	}
}

func newFeed(b *Broker) *feed {
	return &feed{b: b, channel: b.keys.private + newName(), wake: make(chan struct{}, 1), kick: make(chan error, 1),
		doubt: make(chan struct{}, 1), tell: make(chan struct{}, 1),
		decided: make(chan struct{}), passed: make(chan struct{}), places: placer{}, rooms: map[string]*subscription{}}
}

// pop takes the first out of a queue that is not empty, and has its array keep nothing of it.
func pop[T any](queue *[]T) T {
	q := *queue
	first, none := q[0], *new(T)
	q[0] = none
	if *queue = q[1:]; len(q) == 1 {
		*queue = nil
	}
	return first
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
		case errors.Is(err, errDemoted):
			f.b.dropClients() // which may lead to the same server
		case errors.Is(err, errFormat):
			if !told {
				f.b.log.Error("refusing to serve: a later version of this relay, or another REDIS_PREFIX, is needed", "error", err)
			}
			told = true
		case whole && !told:
			f.b.noteDenial(err)
			f.b.log.Info("the subscription at Redis ended, making another", "error", f.b.redact(err))
		case !told:
			f.b.log.Warn("cannot subscribe at Redis, trying again", "error", f.b.redact(err))
			told = true
		}
		if whole && time.Since(began) > reconnectCalm {
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
	c, release := (*f.b.subscriber.Load()).Dedicate()
	defer release()
	defer c.Close()
	f.mu.Lock()
	f.session++
	session := f.session
	f.mu.Unlock()
	ended := c.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage:      func(m rueidis.PubSubMessage) { f.receive(session, m) },
		OnSubscription: func(s rueidis.PubSubSubscription) { f.confirm(session, s) },
	})
	for subscribe := true; ; subscribe = false {
		if err := f.catchUp(c, subscribe); err != nil {
			select {
			case why := <-ended: // which says more
				err = cmp.Or(why, err)
			default:
			}
			return whole, err
		}
		if subscribe {
			nudge(f.wake) // for what was asked of the subscription meanwhile
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
		case err := <-f.kick:
			return whole, err
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

// join subscribes to rooms and reads how they stand, in one trip if that is not much to read.
func (f *feed) join(c rueidis.DedicatedClient, joining []*subscription) error {
	ctx, cancel := context.WithTimeout(f.b.ctx, callTimeout)
	defer cancel()
	var wg sync.WaitGroup
	failed := make([]error, (len(joining)+joinRooms-1)/joinRooms)
	i := 0
	for some := range slices.Chunk(joining, joinRooms) {
		at := i
		wg.Go(func() { failed[at] = f.joinSome(ctx, c, some) })
		i++
	}
	wg.Wait()
	return errors.Join(failed...)
}

func (f *feed) joinSome(ctx context.Context, c rueidis.DedicatedClient, joining []*subscription) error {
	rooms, channels := make([]string, len(joining)), make([]string, len(joining))
	for i, s := range joining {
		rooms[i], channels[i] = s.room, f.b.keys.channel+s.room
	}
	partial := f.b.isPartial()
	now, states, also, err := f.b.readNewest(ctx, c, firstAnswer, channels, rooms, f.b.membersOf(c, joining)...)
	partial = partial || f.b.isPartial()
	here := make([]present, len(joining))
	for i := 0; err == nil && i < len(joining); i++ {
		here[i], err = f.b.parsePresent(ctx, c, joining[i], also[i])
		here[i].partial = here[i].partial || partial
	}
	for {
		if err != nil {
			return f.refuse(joining, err)
		}
		for i, fd := range states {
			joining[i].answer <- stateAnswer{now: state{tail: now, page: fd.entries, more: fd.more, big: fd.big, present: here[i]}}
		}
		n := len(states)
		if joining, rooms, here = joining[n:], rooms[n:], here[n:]; len(rooms) == 0 {
			return nil
		}
		now, states, _, err = f.b.readNewest(ctx, c, firstAnswer, nil, rooms)
	}
}

// refuse fails those who wait for a subscription that did not come about.
func (f *feed) refuse(joining []*subscription, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range joining {
		if f.rooms[s.room] == s {
			delete(f.rooms, s.room)
		}
		s.refuse(err)
	}
	return err
}
