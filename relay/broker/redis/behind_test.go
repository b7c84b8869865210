package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"setu/relay/broker"
)

// offline is a broker that never reaches its Redis, and of which nothing runs.
func offline() *Broker {
	b := &Broker{keys: newKeys("test", 0), log: slog.New(slog.DiscardHandler)}
	b.cfg.Recovery = broker.DefaultRecovery
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.feed = newFeed(b)
	b.presence, b.sessions = newPresence(b), newSessions(b)
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
	for i := range maxPast + 100 {
		b.Keep(fmt.Sprint(i), broker.Session{}, func() {}).Release()
	}
	here := b.Keep("here", broker.Session{}, func() {})
	if n := len(b.sessions.owned); n != maxPast+1 {
		t.Errorf("%d sessions are remembered", n)
	}
	b.sessions.expire() // it is not their time yet
	for len(b.sessions.marks) > 0 {
		for _, m := range b.sessions.take() {
			u := b.sessions.update(m)
			b.sessions.written(u, 1, nil)
		}
	}
	if n, past := len(b.sessions.owned), b.sessions.past; n != 1 || past != 0 {
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
