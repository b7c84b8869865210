package redis

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"setu/relay/broker"
)

// sessions keeps what Redis knows of this relay's sessions in step with what is so here, in the manner of presence: what
// differs is marked and written, many in one trip; what could not be written stays marked.
//
// A state in Redis names its owner, one connection of one relay, and counts what was written. So whoever writes or renews
// it notices that somebody else has taken it over, and that Redis has lost something of it.
type sessions struct {
	b    *Broker
	id   string        // of this process: its channel is called so
	wake chan struct{} // something is marked
	soon chan struct{} // something is fresh
	tell chan struct{} // somebody is to be told that he was fenced
	quit chan struct{} // closed by retire
	done chan struct{} // closed when run has ended

	mu     sync.Mutex // never across I/O
	owned  map[string]*kept
	queue  []*kept // marked
	fresh  []*kept // kept a moment ago: marked soon, if no Join does it before
	fences []func()
	count  uint64 // of owners so far
	due    bool   // all are to be touched
	ended  bool
}

// kept implements broker.SessionHandle. What can change is guarded by of.mu.
type kept struct {
	of         *sessions
	key, owner string
	who        *who // what does not change
	fenced     func()

	phase   ownership
	version uint64    // of what is stored
	since   time.Time // it is released or ended
	memberships
	changed []string // rooms that are to be written
	gone    bool     // what left says is to be written
	whole   bool     // all is
	queued  bool
	busy    bool // a write is under way
	sent    bool // something may be stored
	waiting []chan error
}

type ownership int

const (
	owned ownership = iota
	resuming
	invalid
	released
	ended
	fenced
)

func newSessions(b *Broker) *sessions {
	return &sessions{b: b, id: b.keys.relay(b.feed.channel), wake: make(chan struct{}, 1), soon: make(chan struct{}, 1),
		tell: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}), owned: map[string]*kept{}}
}

// own makes the handle of one connection, known by its owner's name. k.mu is held.
func (k *sessions) own(key string, p ownership, onFence func()) *kept {
	k.count++
	s := &kept{of: k, key: key, owner: k.id + "." + strconv.FormatUint(k.count, 36), fenced: onFence, phase: p}
	if k.ended {
		s.phase = ended
	} else {
		k.owned[s.owner] = s
	}
	return s
}

// Keep implements broker.Broker. A Join mostly comes right after it, and then both go out as one.
func (b *Broker) Keep(key string, state broker.Session, onFence func()) broker.SessionHandle {
	k := b.sessions
	who := &who{state.ID, state.User, state.Keyed}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(key, owned, onFence)
	if s.who, s.whole = who, true; k.ended {
		return s
	}
	s.fill(state.Rooms)
	k.fresh = append(k.fresh, s)
	if len(k.fresh) == 1 {
		nudge(k.soon)
	}
	return s
}

// Resume implements broker.Broker.
func (b *Broker) Resume(ctx context.Context, key string, at broker.Offset, onFence func()) (broker.Resumed, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	k := b.sessions
	k.mu.Lock()
	s := k.own(key, resuming, onFence) // before the script: who resumes next may be told of sooner than this is answered
	closed := k.ended
	k.mu.Unlock()
	if closed {
		return broker.Resumed{}, broker.ErrClosed
	}
	r, err := b.resume(ctx, s, at)
	if err != nil {
		k.mu.Lock()
		k.letGo(s, ended)
		k.mu.Unlock()
		return broker.Resumed{}, err
	}
	return r, nil
}

func (b *Broker) resume(ctx context.Context, s *kept, at broker.Offset) (broker.Resumed, error) {
	c, err := b.use()
	if err == nil {
		err = b.enterSlot(ctx)
	}
	if err != nil {
		return broker.Resumed{}, err
	}
	defer func() { <-b.slots }()
	fields, err := resumeScript.run(ctx, c, call{
		keys: []string{b.keys.session + s.key, b.keys.head},
		args: []string{s.owner, ms(2 * b.cfg.Recovery), at.Epoch, strconv.FormatUint(at.Pos, 10), strconv.FormatUint(at.Seq, 10),
			at.Digest, b.keys.stream, b.keys.private},
	})[0].AsStrSlice()
	if err != nil {
		return broker.Resumed{}, unavailable(err)
	}
	if len(fields) < 2 {
		return broker.Resumed{}, broker.ErrGone
	}
	have, err := parseSession(fields[2:])
	if err != nil {
		b.log.Error("a session that no relay wrote", "error", err)
		return broker.Resumed{}, broker.ErrGone
	}
	r := broker.Resumed{Session: have.Session, Handle: s, Room: fields[0], At: at.At}
	if at.Seq > 0 {
		r.At, _ = strconv.ParseInt(fields[1], 10, 64)
	}
	b.sessions.install(s, have)
	return r, nil
}

// install has s go on from what is stored.
func (k *sessions) install(s *kept, have stored) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.who, s.version, s.memberships, s.sent = have.who, have.version, have.memberships, true
	switch s.phase {
	case resuming:
		s.phase = owned
	case fenced:
		k.report(s)
	}
}

// letGo ends a handle, and whoever waits for it. k.mu is held.
func (k *sessions) letGo(s *kept, p ownership) {
	delete(k.owned, s.owner)
	s.phase = p
	for _, w := range s.waiting {
		w <- broker.ErrGone
	}
	s.waiting = nil
}

// fence ends the handle of a session that somebody else has resumed.
func (k *sessions) fence(owner string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.owned[owner]
	if s == nil {
		return
	}
	was := s.phase
	k.letGo(s, fenced)
	if was == owned || was == invalid {
		k.report(s)
	}
}

// report has the owner told. k.mu is held.
func (k *sessions) report(s *kept) {
	k.fences = append(k.fences, s.fenced)
	nudge(k.tell)
}

// tellFenced calls those who were fenced, one at a time.
func (k *sessions) tellFenced() {
	defer k.b.wg.Done()
	for {
		select {
		case <-k.b.ctx.Done():
			return
		case <-k.tell:
		}
		k.mu.Lock()
		fences := k.fences
		k.fences = nil
		k.mu.Unlock()
		for _, f := range fences {
			f()
		}
	}
}

// Join implements broker.SessionHandle.
func (s *kept) Join(ctx context.Context, m broker.Membership) error {
	away := s.of.b.feed.ready()
	answer, err := s.startJoin(m, away)
	if err != nil || answer == nil {
		return err // where Redis is away, it is made good when it is back
	}
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// startJoin marks what is to be written, and returns where that is answered; nil where there is nothing to wait for. An
// error that away is given stands for the answer.
func (s *kept) startJoin(m broker.Membership, away error) (chan error, error) {
	k := s.of
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.phase != owned && s.phase != invalid {
		if k.ended {
			return nil, broker.ErrClosed
		}
		return nil, broker.ErrGone
	}
	changed := s.join(m)
	if changed {
		s.differs(m.Room)
	}
	if s.phase == invalid || !changed && !s.whole && !s.queued && !s.busy {
		return nil, nil
	}
	if away != nil {
		k.enqueue(s)
		return nil, away
	}
	answer := make(chan error, 1)
	s.waiting = append(s.waiting, answer)
	k.mark(s)
	return answer, nil
}

// differs says that a membership is to be written. of.mu is held.
func (s *kept) differs(room string) {
	if len(s.changed) == maxChanged {
		s.whole = true
	}
	if !s.whole {
		s.changed = append(s.changed, room)
	}
}

// change runs do where the session is still this connection's, and marks it.
func (s *kept) change(do func() bool) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if (s.phase == owned || s.phase == invalid) && !s.of.ended && do() {
		s.of.mark(s)
	}
}

// Leave implements broker.SessionHandle.
func (s *kept) Leave(room string) {
	s.change(func() bool {
		if !s.leave(room) {
			return false
		}
		s.differs(room)
		s.gone = true
		return true
	})
}

// Invalidate implements broker.SessionHandle.
func (s *kept) Invalidate(room string, since broker.Offset) {
	s.change(func() bool {
		s.move(room, since)
		s.phase, s.whole = invalid, true
		return true
	})
}

// Revalidate implements broker.SessionHandle.
func (s *kept) Revalidate() {
	s.change(func() bool {
		was := s.phase
		s.phase, s.whole = owned, s.whole || was == invalid
		return was == invalid
	})
}

// End implements broker.SessionHandle.
func (s *kept) End() { s.finish(ended) }

// Release implements broker.SessionHandle.
func (s *kept) Release() { s.finish(released) }

func (s *kept) finish(p ownership) {
	s.change(func() bool {
		if s.phase == invalid {
			p = ended // nobody could resume it
		}
		s.phase, s.since = p, time.Now()
		if p == ended && !s.sent {
			s.of.letGo(s, p)
			return false
		}
		return true
	})
}

// retire writes what is marked, and nothing after it.
func (k *sessions) retire(ctx context.Context) {
	close(k.quit)
	<-k.done
	k.ripen()
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	if c := k.b.client.Load(); c != nil && k.b.feed.ready() == nil {
		if err := k.write(ctx, *c); err != nil && !errors.Is(err, context.Canceled) {
			k.b.log.Warn("cannot write all that is kept of sessions", "error", k.b.redact(err))
		}
	}
}
