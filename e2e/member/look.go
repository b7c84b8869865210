package member

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coder/websocket"

	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// Name is what the history calls the member.
func (m *Member) Name() string { return m.options.As }

// User is who the relay says the member is.
func (m *Member) User() User {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.welcome.User
}

// Relay is the name of the relay that it is connected to, "" for none.
func (m *Member) Relay() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ready {
		return ""
	}
	return m.welcome.Relay
}

// Epoch is what the relay's welcome called the history that it serves.
func (m *Member) Epoch() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.welcome.Epoch
}

// Messages returns what the member has of a room on its screen.
func (m *Member) Messages(room string) []judge.Message {
	return look(m, room, func(s *seat) []judge.Message { return s.messages })
}

// Presence returns the changes that it was told of.
func (m *Member) Presence(room string) []Presence {
	return look(m, room, func(s *seat) []Presence { return s.presence })
}

// Resets returns what it was told is gone.
func (m *Member) Resets(room string) []Reset {
	return look(m, room, func(s *seat) []Reset { return s.resets })
}

// Rejoins returns the answers that it got when it came back.
func (m *Member) Rejoins(room string) []Joined {
	return look(m, room, func(s *seat) []Joined { return s.rejoins })
}

// Signals returns the signals that it heard.
func (m *Member) Signals() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.signals)
}

// Offset is the last offset that it was given in a room.
func (m *Member) Offset(room string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[room]; s != nil {
		return s.offset
	}
	return ""
}

func look[T any](m *Member, room string, at func(*seat) []T) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[room]; s != nil {
		return slices.Clone(at(s))
	}
	return nil
}

// Has tells whether the member has a message.
func (m *Member) Has(room, id string) bool {
	return slices.ContainsFunc(m.Messages(room), func(seen judge.Message) bool { return seen.ID == id })
}

// AwaitMessage waits until the member has a message.
func (m *Member) AwaitMessage(room, id string) {
	m.t.Helper()
	cluster.Eventually(m.t, patience, m.options.As+" waits for "+id, func() error {
		if m.Has(room, id) {
			return nil
		}
		return fmt.Errorf("has %d messages, without it", len(m.Messages(room)))
	})
}

// AwaitRelay waits until the member is connected to a relay, with its rooms joined.
func (m *Member) AwaitRelay(name string) {
	m.t.Helper()
	cluster.Eventually(m.t, patience, m.options.As+" waits to be at "+name, func() error {
		if at := m.Relay(); at != name {
			return fmt.Errorf("is at %q, its last connection ended with: %w", at, m.LastError())
		}
		return nil
	})
}

// LastError tells why its last connection ended.
func (m *Member) LastError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// AwaitClose waits until a connection of its has ended, and returns the code
// with which the relay closed it; -1 without one.
func (m *Member) AwaitClose(within time.Duration) websocket.StatusCode {
	m.t.Helper()
	cluster.Eventually(m.t, within, m.options.As+" waits to be closed", func() error {
		if m.LastError() == nil {
			return errors.New("no connection has ended")
		}
		return nil
	})
	return websocket.CloseStatus(m.LastError())
}
