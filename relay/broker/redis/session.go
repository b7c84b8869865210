package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// sessions keeps what Redis knows of this relay's sessions in step with what is so here.
//
// A session in Redis names its owner, one connection of one relay, and counts what was written. So
// whoever writes or renews it notices that somebody else has taken it over, and that Redis has lost
// something of it.
type sessions struct {
	writeBehind[*handle, error]

	// immutable
	id   string        // of this process: its channel is called so
	tell chan struct{} // something stands in fences

	ripened time.Time // when parted was looked through; owned by turn

	// guarded by mu
	owned     map[string]*handle
	past      int       // those of owned that are released or ended
	pastBytes int       // what they take, about
	released  []*handle // of past, the earliest first; some may be so no more
	gone      []*handle // those that are ended, likewise

	leaving map[string]*handle // those of owned that are released, by key

	parted      map[string]*handle // those of owned that are parted, by key
	partedBytes int                // what they take, about

	fences []func()
	count  uint64 // of owners so far
}

// handle implements broker.SessionHandle.
type handle struct {
	// immutable
	of         *sessions
	key, owner string

	// guarded by of.mu
	stored           // as it is here; its version is that of what was written last
	fenced    func() // nil: it is this connection's no more
	ownership ownership
	since     time.Time // it is released or ended
	cost      int       // of pastBytes
	busy      bool      // a write is under way
	sent      bool      // something may be stored
}

// ownership is what a connection has of its session.
type ownership int

const (
	owned    ownership = iota
	resuming           // of somebody else
	invalid            // owned, and nobody can resume it
	parted             // for whoever resumes it, of which Redis is not told yet
	released           // likewise, and it is
	ended
	fenced // somebody else has resumed it
)

const keepDelay = 50 * time.Millisecond // that a fresh session waits for its first Join

func newSessions(b *Broker) *sessions {
	return &sessions{writeBehind: newWriteBehind[*handle, error](b), id: b.keys.relay(b.feed.channel),
		tell: make(chan struct{}, 1), owned: map[string]*handle{}, parted: map[string]*handle{}, leaving: map[string]*handle{}}
}

// own makes the handle of one connection, known by its owner's name. k.mu is held.
func (k *sessions) own(key string, has ownership, onFence func()) *handle {
	k.count++
	s := &handle{of: k, key: key, owner: k.id + "." + strconv.FormatUint(k.count, 36), fenced: onFence, ownership: has}
	if k.ended {
		s.ownership = ended
	} else {
		k.owned[s.owner] = s
	}
	return s
}

// Keep implements broker.Broker. A Join mostly comes right after it, and then both go out as one.
func (b *Broker) Keep(key string, state broker.Session, onFence func()) broker.SessionHandle {
	k := b.sessions
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(key, owned, onFence)
	s.who = &who{state.ID, state.User, state.Keyed, state.Data}
	for _, m := range state.Rooms {
		s.rooms.Join(m)
	}
	if !k.ended {
		k.markSoon(s)
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

func (b *Broker) resume(ctx context.Context, s *handle, at broker.Offset) (broker.Resumed, error) {
	c, err := b.use()
	if err == nil {
		err = b.enterSlot(ctx)
	}
	if err != nil {
		return broker.Resumed{}, err
	}
	defer func() { <-b.slots }()
	parted, unsaved := b.sessions.formerly(s.key)
	fields, err := resumeScript.run(ctx, c, call{
		keys: []string{b.keys.session + s.key, b.keys.head},
		args: []string{s.owner, ms(2 * b.cfg.Recovery), at.Epoch, strconv.FormatUint(at.Pos, 10), b.keys.private, parted},
	})[0].AsStrSlice()
	if err != nil {
		b.feed.noteRefusal(err)
		return broker.Resumed{}, unavailable(err)
	}
	b.sessions.takeParted(parted)
	if len(fields) == 0 {
		return broker.Resumed{}, broker.ErrGone
	}
	former, fields := fields[0], fields[1:]
	have, err := parseSession(fields)
	if err != nil {
		b.log.Error("a session that no relay wrote", "error", err)
		return broker.Resumed{}, broker.ErrGone
	}
	goesOn := unsaved != nil && former == unsaved.owner && b.sessions.takeUnsaved(unsaved, &have)
	if have.isOfAnother(at.Epoch) {
		return broker.Resumed{}, b.abandon(ctx, c, s, have, broker.ErrGone)
	}
	r := broker.Resumed{Session: have.session(), Handle: s, At: at.At}
	if at.Seq > 0 {
		if r.Room, r.At, err = b.vouch(ctx, c, have, at); err != nil {
			return broker.Resumed{}, b.abandon(ctx, c, s, have, err)
		}
	}
	b.sessions.install(s, have)
	if goesOn {
		s.change(func() bool { return true })
	}
	return r, nil
}

// vouch finds the message that at names in one of the session's rooms, or its successor if it was the
// last one that was let go of. It is mostly a recent one of a room that is live here. when is when it
// was stored, 0 if that is not known.
func (b *Broker) vouch(ctx context.Context, c rueidis.Client, have stored, at broker.Offset) (room string, when int64, err error) {
	var rooms, keys []string
	for _, m := range have.rooms.Joined {
		rooms = append(rooms, m.Room)
	}
	rooms = append(rooms, have.rooms.Left...)
	if room, when, ok := b.feed.findRecent(rooms, at); ok {
		return room, when, nil
	}
	if len(rooms) == 0 {
		return "", 0, broker.ErrGone
	}
	for _, room := range rooms {
		keys = append(keys, b.keys.stream+room)
	}
	found, err := vouchScript.run(ctx, c, call{keys: keys,
		args: []string{strconv.FormatUint(at.Pos, 10), strconv.FormatUint(at.Seq, 10), at.Digest}})[0].AsIntSlice()
	switch {
	case err != nil:
		return "", 0, unavailable(err)
	case len(found) != 2 || found[0] < 1 || int(found[0]) > len(rooms):
		return "", 0, broker.ErrGone
	}
	return rooms[found[0]-1], found[1], nil
}

// findRecent finds a message that is a recent one of one of rooms, on a feed that misses nothing.
func (f *feed) findRecent(rooms []string, at broker.Offset) (room string, when int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, room := range rooms {
		s := f.rooms[room]
		if s == nil || s.loading || f.phase != live || s.tail.Epoch != at.Epoch {
			continue
		}
		if when, ok := s.recent.find(at); ok {
			return room, when, true
		}
	}
	return "", 0, false
}

// abandon ends a session that was taken over in vain, unless that was for want of an answer. A mark
// stays for who owned it and has not heard of it yet. It returns why the session does not go on.
func (b *Broker) abandon(ctx context.Context, c rueidis.Client, s *handle, have stored, why error) error {
	if !errors.Is(why, broker.ErrGone) {
		return why
	}
	err := saveScript.run(ctx, c, call{keys: []string{b.keys.session + s.key},
		args: []string{s.owner, ms(2 * b.cfg.Recovery), strconv.FormatUint(have.version+1, 10)}})[0].Error()
	if err != nil {
		b.feed.noteRefusal(err)
		return unavailable(err) // it may still be gone on with
	}
	return why
}

// install has s go on from what is stored.
func (k *sessions) install(s *handle, have stored) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.stored, s.sent = have, true
	s.rooms.Joined = slices.Clone(have.rooms.Joined) // the caller has the other
	switch s.ownership {
	case resuming:
		s.ownership = owned
	case fenced:
		k.report(s)
	}
}

// letGo ends a handle, and whoever waits for it. k.mu is held.
func (k *sessions) letGo(s *handle, has ownership) {
	switch {
	case k.owned[s.owner] != s:
	case s.isPast():
		k.past--
		k.pastBytes -= s.cost
		if k.leaving[s.key] == s {
			delete(k.leaving, s.key)
		}
	case s.ownership == parted:
		k.unpart(s)
	}
	delete(k.owned, s.owner)
	s.ownership = has
	marked[*handle, error]{s, k.marks[s]}.answer(broker.ErrGone)
	k.forget(s)
	k.forgetPast()
}

// isCurrent reports whether the session is this connection's, isPast whether it was and something
// is still to be written. of.mu is held.
func (s *handle) isCurrent() bool { return s.ownership == owned || s.ownership == invalid }
func (s *handle) isPast() bool    { return s.ownership == released || s.ownership == ended }

// fence ends the handle of a session that somebody else has resumed.
func (k *sessions) fence(owner string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.owned[owner]
	if s == nil {
		return
	}
	current := s.isCurrent()
	k.letGo(s, fenced)
	if current {
		k.report(s)
	}
}

// report has the owner told. k.mu is held.
func (k *sessions) report(s *handle) {
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
func (s *handle) Join(ctx context.Context, m broker.Membership) error {
	return s.changeNow(ctx, func() bool { return s.rooms.Join(m) })
}

// Leave implements broker.SessionHandle.
func (s *handle) Leave(ctx context.Context, room string) error {
	return s.changeNow(ctx, func() bool { return s.rooms.Leave(room) })
}

// changeNow runs do, which reports whether that changed anything, and returns when all is stored.
func (s *handle) changeNow(ctx context.Context, do func() bool) error {
	answer, err := s.startChange(do, s.of.b.feed.ready())
	if err != nil || answer == nil {
		return err // if Redis is away, it is made good when it is back
	}
	stored, err := s.of.await(ctx, s, answer)
	return cmp.Or(err, stored)
}

// startChange runs do, marks what is to be written, and returns what the answer comes on; nil if there
// is nothing to wait for. away, if Redis is, stands for the answer.
func (s *handle) startChange(do func() bool, away error) (chan error, error) {
	k := s.of
	k.mu.Lock()
	defer k.mu.Unlock()
	if !s.isCurrent() {
		if k.ended {
			return nil, broker.ErrClosed
		}
		return nil, broker.ErrGone
	}
	changed := do()
	_, marked := k.marks[s]
	if s.ownership == invalid || !changed && s.sent && !marked && !s.busy {
		return nil, nil
	}
	if away != nil {
		k.markAgain(s)
		return nil, away
	}
	answer := make(chan error, 1)
	k.mark(s, answer)
	return answer, nil
}

// change runs do if the session is still this connection's, and marks it.
func (s *handle) change(do func() bool) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.isCurrent() && !s.of.ended && do() {
		s.of.mark(s)
	}
}

// IgnorePresence implements broker.SessionHandle.
func (s *handle) IgnorePresence(room string) {
	s.change(func() bool { return s.rooms.IgnorePresence(room) })
}

// SetData implements broker.SessionHandle.
func (s *handle) SetData(data string) {
	s.change(func() bool {
		is := *s.who
		is.Data = data
		was := s.who.Data
		s.who = &is
		return was != data
	})
}

// Invalidate implements broker.SessionHandle.
func (s *handle) Invalidate(room string, since broker.Offset) {
	s.change(func() bool {
		s.rooms.Move(room, since)
		s.ownership = invalid
		return true
	})
}

// Revalidate implements broker.SessionHandle.
func (s *handle) Revalidate() {
	s.change(func() bool {
		was := s.ownership
		s.ownership = owned
		return was == invalid
	})
}

// End implements broker.SessionHandle.
func (s *handle) End() { s.finish(ended) }

// Release implements broker.SessionHandle.
func (s *handle) Release() { s.finish(released) }

func (s *handle) finish(has ownership) {
	s.change(func() bool {
		if s.ownership == invalid {
			has = ended // nobody could resume it
		}
		s.fenced = nil // nobody is told any more, nor kept by what is still to be written
		k := s.of
		if has == ended && !s.sent {
			k.letGo(s, has)
			return false
		}
		if has == released && k.part(s) {
			return false
		}
		k.addPast(s, has)
		return true
	})
}

// retire writes what is marked, and nothing after it.
func (k *sessions) retire(ctx context.Context) {
	k.stop()
	k.ripen()
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	if c := k.b.client.Load(); c != nil && k.b.feed.ready() == nil {
		var err error
		for more := true; more && err == nil && ctx.Err() == nil; {
			more = k.ripenParted(0)
			err = k.write(ctx, *c)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			k.b.log.Warn("cannot write all that is kept of sessions", "error", k.b.redact(err))
		}
	}
}
