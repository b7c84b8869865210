package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// Session is one connection of a client that knows of connection state recovery,
// and does nothing by itself: the test decides when it ends, and whether another
// goes on with it.
type Session struct {
	t testing.TB
	c *conn

	// How the CONNECT was answered, and what came before that.
	ID, PID  string
	Replayed []Heard

	mu     sync.Mutex
	heard  []Heard // since then
	offset string
}

// Heard is a message in a room.
type Heard struct {
	Room string
	judge.Message
}

// Open connects, with the auth that a stock client would send: name and key, and
// pid and offset of the session that it wants to go on with.
func Open(t testing.TB, relay string, auth map[string]string) *Session {
	t.Helper()
	s, err := TryOpen(t, relay, auth)
	if err != nil {
		t.Fatalf("open a session: %v", err)
	}
	return s
}

// TryOpen is Open that may fail.
func TryOpen(t testing.TB, relay string, auth map[string]string) (*Session, error) {
	s := &Session{t: t}
	c, err := dial(t.Context(), WebSocket, relay, auth, s.onEvent)
	if err != nil {
		return nil, err
	}
	s.c, s.ID, s.PID, s.offset = c, c.opened.id, c.opened.pid, c.opened.offset
	for _, e := range c.opened.replayed {
		if e.name != "message" {
			c.cut()
			return nil, fmt.Errorf("the relay sent %s before it answered the CONNECT", e.name)
		}
		s.Replayed = append(s.Replayed, parseHeard(e))
	}
	c.start()
	t.Cleanup(s.Cut)
	return s, nil
}

func parseHeard(e event) Heard {
	var in wireMessage
	if err := json.Unmarshal(e.body, &in); err != nil {
		return Heard{Room: "not a message: " + string(e.body)}
	}
	return Heard{in.Room, in.judged()}
}

func (s *Session) onEvent(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.offset != "" {
		s.offset = e.offset
	}
	if e.name == "message" {
		s.heard = append(s.heard, parseHeard(e))
	}
}

// Offset is the last one that the session was given.
func (s *Session) Offset() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

// Heard returns what came since the session was connected, in its order.
func (s *Session) Heard() []Heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// AwaitHeard waits until the session has heard something.
func (s *Session) AwaitHeard(room, id string) {
	s.t.Helper()
	cluster.Eventually(s.t, patience, "the session hears "+id, func() error {
		heard := s.Heard()
		if slices.ContainsFunc(heard, func(h Heard) bool { return h.Room == room && h.ID == id }) {
			return nil
		}
		return fmt.Errorf("heard %d others", len(heard))
	})
}

// AwaitMore waits until the session has heard n messages more than now.
func (s *Session) AwaitMore(n int) {
	s.t.Helper()
	want := len(s.Heard()) + n
	cluster.Eventually(s.t, patience, fmt.Sprintf("the session hears %d more", n), func() error {
		if has := len(s.Heard()); has < want {
			return fmt.Errorf("it has heard %d of %d", has, want)
		}
		return nil
	})
}

// Join joins a room.
func (s *Session) Join(room string) {
	s.t.Helper()
	if err := s.call("join", map[string]any{"room": room}); err != nil {
		s.t.Fatalf("join %s: %v", room, err)
	}
}

// Publish publishes once. It may be refused, with a *Refusal.
func (s *Session) Publish(room, id string, data any) error {
	return s.call("publish", map[string]any{"room": room, "id": id, "data": data})
}

func (s *Session) call(name string, body any) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var refused error
	err := s.c.call(ctx, name, body, func(text json.RawMessage) { refused = decode(text, new(json.RawMessage)) })
	return errors.Join(err, refused)
}

// Cut ends the connection without a word.
func (s *Session) Cut() {
	s.c.cut()
	<-s.c.done
}

// Ended reports whether the connection has.
func (s *Session) Ended() bool {
	select {
	case <-s.c.done:
		return true
	default:
		return false
	}
}

// AwaitEnd waits until the connection has ended.
func (s *Session) AwaitEnd() {
	s.t.Helper()
	cluster.Eventually(s.t, patience, "the session ends", func() error {
		if !s.Ended() {
			return errors.New("it goes on")
		}
		return nil
	})
}
