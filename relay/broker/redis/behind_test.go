package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

// offline is a broker that never reaches its Redis, and of which nothing runs.
func offline() *Broker {
	b := &Broker{keys: newKeys("test", 0), log: slog.New(slog.DiscardHandler)}
	b.cfg.Recovery = broker.DefaultRecovery
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.feed = newFeed(b)
	b.presence, b.sessions, b.notices = newPresence(b), newSessions(b), newNotices(b)
	return b
}

// While Redis is away people come and go, and what is remembered of who left has a bound: past it,
// a new life begins, in which only those who are here are written.
func TestPresenceBound(t *testing.T) {
	b := offline()
	defer b.cancel()
	p := b.presence
	p.enter(place{"a", "here"}, "{}", make(chan entered, 1))
	left := make(chan entered, 1)
	for i := range 3 * maxPast {
		at := place{"a", fmt.Sprint(i)}
		p.enter(at, "{}", left)
		p.leave(at)
		left = make(chan entered, 1)
	}
	p.enter(place{"a", "late"}, "{}", make(chan entered, 1))
	if n, listed := len(p.marks), len(p.order); n > maxPast+2 || listed > 2*maxPast+2*writeBatch || !p.overflowed() {
		t.Errorf("%d marks, listed %d, overflowed %v", n, listed, p.overflowed())
	}
	p.markAll()
	work := p.steps(p.take())
	if len(work) != 2 || p.overflowed() || work[0].key.user != "here" || work[1].key.user != "late" {
		t.Errorf("to be written in the new life: %+v", work)
	}
}

// So has what is remembered of sessions that were released.
func TestSessionsBound(t *testing.T) {
	b := offline()
	defer b.cancel()
	var rooms []broker.Membership
	for i := range 200 {
		rooms = append(rooms, broker.Membership{Room: fmt.Sprint(strings.Repeat("x", 190), i)})
	}
	sizes := []int{0, 200, 7}
	var all []*handle
	for i := range 3000 {
		h := b.Keep(fmt.Sprint(i), broker.Session{Rooms: rooms[:sizes[i%3]]}, func() {}).(*handle)
		h.sent = i%2 == 0
		h.Release()
		all = append(all, h)
	}
	for i := range 3 * maxPastBytes / pastBytes {
		b.Keep(fmt.Sprint(i), broker.Session{}, func() {}).Release()
		if i == 500 { // the newest are kept whole; of the oldest, those that Redis may know are ended
			k := b.sessions
			if s := all[2998]; s.ownership != released || len(s.rooms.Joined) != 200 || k.owned[s.owner] != s {
				t.Errorf("a new one: %v, %d rooms", s.ownership, len(s.rooms.Joined))
			}
			if s := all[4]; s.ownership != ended || len(s.rooms.Joined) != 0 || k.owned[s.owner] != s || !k.isMarked(s) {
				t.Errorf("an old one: %v, %d rooms", s.ownership, len(s.rooms.Joined))
			}
			if s := all[1]; s.ownership != ended || k.owned[s.owner] != nil {
				t.Errorf("an old one that Redis never knew: %v", s.ownership)
			}
		}
	}
	here := b.Keep("here", broker.Session{}, func() {})
	if n, listed := b.sessions.pastBytes, len(b.sessions.released)+len(b.sessions.gone); n > maxPastBytes || n < maxPastBytes/2 || listed > 4*maxPastBytes/pastBytes {
		t.Errorf("%d bytes of sessions are remembered, %d listed", n, listed)
	}
	b.sessions.expire() // it is not their time yet
	for len(b.sessions.marks) > 0 {
		for _, m := range b.sessions.take() {
			u := b.sessions.update(m)
			b.sessions.written(u, 1, nil)
		}
	}
	if n, past := len(b.sessions.owned), b.sessions.past+b.sessions.pastBytes; n != 1 || past != 0 {
		t.Errorf("%d sessions, %d of them past, when all is written", n, past)
	}
	if err := here.Join(t.Context(), broker.Membership{Room: "a"}); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("join: %v", err)
	}
}

// What is marked is taken once, the earliest first, with all who wait for it.
func TestWriteBehind(t *testing.T) {
	w := newWriteBehind[string, int](nil)
	one, other := make(chan int, 1), make(chan int, 1)
	w.markSoon("fresh")
	w.markSoon("ripe")
	w.mark("a", one)
	w.mark("b")
	w.mark("a", other)
	w.mark("gone")
	w.mark("fresh")
	w.forget("gone")
	w.ripen()
	var got []string
	err := w.flush(func(work []marked[string, int]) func() error {
		if w.mu.TryLock() {
			t.Error("prepared without the lock")
		}
		return func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, m := range work {
				got = append(got, m.key)
				m.answer(7)
			}
			return nil
		}
	})
	if err != nil || fmt.Sprint(got) != "[a b fresh ripe]" || <-one != 7 || <-other != 7 {
		t.Errorf("wrote %q, %v", got, err)
	}
	broken := errors.New("broken")
	for i := range writeBatch + 10 {
		w.mark(fmt.Sprint(i))
	}
	if err := w.flush(func(work []marked[string, int]) func() error {
		return func() error { return broken }
	}); err != broken || len(w.marks) != 10 {
		t.Errorf("%v, and %d are marked still", err, len(w.marks))
	}
}

// Nobody waits while Redis is away, or after having given up; so nothing is kept for that.
func TestNobodyWaits(t *testing.T) {
	b := offline()
	defer b.cancel()
	at := place{"a", "ann"}
	enter := func(ctx context.Context) {
		t.Helper()
		if _, err := b.Enter(ctx, "a", broker.User{ID: "ann"}); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("enter: %v", err)
		}
	}
	kept := b.Keep("ann", broker.Session{}, func() {}).(*handle)
	join := func(ctx context.Context) {
		t.Helper()
		if err := kept.Join(ctx, broker.Membership{Room: "a"}); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("join: %v", err)
		}
	}
	waiting := func(what string) {
		t.Helper()
		if n, m := len(b.presence.marks[at]), len(b.sessions.marks[kept]); n+m > 0 {
			t.Errorf("%s: %d and %d channels are kept", what, n, m)
		}
		if n, m := len(b.presence.marks), len(b.sessions.marks); n != 1 || m != 1 {
			t.Errorf("%s: %d and %d are marked", what, n, m)
		}
	}
	for range 1000 {
		enter(t.Context())
		join(t.Context())
	}
	waiting("away")
	b.feed.phase, b.feed.probedAt = live, time.Now() // it is there, but nothing is written
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		enter(gone)
		join(gone)
	}
	waiting("given up")
}
