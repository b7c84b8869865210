package client

import (
	"fmt"
	"slices"

	"setu/e2e/judge"
	"setu/e2e/secrets"
)

// session is what a client knows of the one that it may go on with.
type session struct {
	pid        string
	offset     string // that ended the last event which had one
	unanswered int    // joins and leaves: the session may have rooms that the client does not know of
	resumed    int    // how often it went on
}

// Resumed returns how often the client went on with its session.
func (m *Client) Resumed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session.resumed
}

// Resumes reports whether it tries to.
func (m *Client) Resumes() bool { return m.options.Resume }

// Transport is how it reaches relays.
func (m *Client) Transport() Transport { return m.options.Transport }

// auth is what the client says of itself, and of the session that it wants to go on with.
func (m *Client) auth() map[string]string {
	auth := map[string]string{"name": m.options.Name, "key": m.options.Key}
	secrets.Plant("a key", m.options.Key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.session; m.options.Resume && s.pid != "" && s.offset != "" && s.unanswered == 0 {
		auth["pid"], auth["offset"] = s.pid, s.offset
	}
	return auth
}

// onConnect takes how a CONNECT was answered that asked to go on with a session; "" with none.
func (m *Client) onConnect(c *conn, asked string) {
	how := fmt.Sprintf("to %s by %s", c.welcome.Relay, m.options.Transport)
	goesOn := asked != "" && c.opened.pid == asked
	switch {
	case goesOn:
		m.add(judge.Event{Kind: judge.Resumed, Note: fmt.Sprintf("%s, %d events missed", how, len(c.opened.replayed))})
	case asked != "":
		m.add(judge.Event{Kind: judge.Connected, Note: how + ", which does not know the session"})
	default:
		m.add(judge.Event{Kind: judge.Connected, Note: how})
	}
	if !goesOn && len(c.opened.replayed) > 0 {
		m.t.Errorf("%s was sent %d events before a CONNECT that resumes nothing", m.options.As, len(c.opened.replayed))
	}
	for _, e := range c.opened.replayed {
		m.onEvent(e)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if goesOn {
		m.session.resumed++
	} else {
		m.session.pid, m.session.unanswered = c.opened.pid, 0
	}
	m.session.offset = c.opened.offset
	for name, s := range m.rooms {
		s.joined = goesOn && slices.Contains(c.welcome.Rooms, name)
	}
}

// asks counts joins and leaves that wait for an answer.
func (m *Client) asks(more int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session.unanswered += more
}

// keepOffset takes the offset that an event ended with, as a stock client does.
func (m *Client) keepOffset(offset string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if offset != "" {
		m.session.offset = offset
	}
}
