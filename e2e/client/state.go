package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coder/websocket"

	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// Name is what the history calls the client.
func (m *Client) Name() string { return m.options.As }

// User is who the relay says the client is.
func (m *Client) User() User {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.welcome.User
}

// Relay is the name of the relay that it is connected to, "" for none.
func (m *Client) Relay() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ready {
		return ""
	}
	return m.welcome.Relay
}

// Upgraded reports whether it began its present connection with polling, and goes on over WebSocket.
func (m *Client) Upgraded() bool {
	m.mu.Lock()
	c := m.conn
	m.mu.Unlock()
	return c != nil && c.carrier.upgraded()
}

// Epoch is what the relay's welcome called the history that it serves.
func (m *Client) Epoch() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.welcome.Epoch
}

// Messages returns what the client has of a room on its screen.
func (m *Client) Messages(room string) []judge.Message {
	return inRoom(m, room, func(s *membership) []judge.Message { return s.messages })
}

// Presence returns the changes that it was told of.
func (m *Client) Presence(room string) []Presence {
	return inRoom(m, room, func(s *membership) []Presence { return s.presence })
}

// Resets returns what it was told is gone.
func (m *Client) Resets(room string) []Reset {
	return inRoom(m, room, func(s *membership) []Reset { return s.resets })
}

// Rejoins returns the answers that it got when it came back.
func (m *Client) Rejoins(room string) []Joined {
	return inRoom(m, room, func(s *membership) []Joined { return s.rejoins })
}

// Signals returns the signals that it heard.
func (m *Client) Signals() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.signals)
}

// Offset is the last offset that it was given in a room.
func (m *Client) Offset(room string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[room]; s != nil {
		return s.offset
	}
	return ""
}

func inRoom[T any](m *Client, room string, at func(*membership) []T) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[room]; s != nil {
		return slices.Clone(at(s))
	}
	return nil
}

// Has reports whether the client has a message.
func (m *Client) Has(room, id string) bool {
	return slices.ContainsFunc(m.Messages(room), func(seen judge.Message) bool { return seen.ID == id })
}

// AwaitMessage waits until the client has a message.
func (m *Client) AwaitMessage(room, id string) {
	m.t.Helper()
	cluster.Eventually(m.t, patience, m.options.As+" waits for "+id, func() error {
		if m.Has(room, id) {
			return nil
		}
		return fmt.Errorf("has %d messages, without it", len(m.Messages(room)))
	})
}

// AwaitRelay waits until the client is connected to a relay, with its rooms joined.
func (m *Client) AwaitRelay(name string) {
	m.t.Helper()
	cluster.Eventually(m.t, patience, m.options.As+" waits to be at "+name, func() error {
		if at := m.Relay(); at != name {
			return fmt.Errorf("is at %q, its last connection ended with: %w", at, m.LastError())
		}
		return nil
	})
}

// LastError returns why its last connection ended.
func (m *Client) LastError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// AwaitClose waits until a connection of its has ended, and returns the code
// with which the relay closed it; -1 without one.
func (m *Client) AwaitClose(within time.Duration) websocket.StatusCode {
	m.t.Helper()
	cluster.Eventually(m.t, within, m.options.As+" waits to be closed", func() error {
		if m.LastError() == nil {
			return errors.New("no connection has ended")
		}
		return nil
	})
	return websocket.CloseStatus(m.LastError())
}
