// Package client is a small Socket.IO client for tests, of protocol.md alone: it
// shares no code with the relay or the project's own client. A client behaves as
// a good client does (it comes back after a lost connection, rejoins its rooms
// from the last offset it was given, and repeats publishes that were not
// answered under the same id), and writes all that it does and hears into a
// history that package judge decides upon.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"setu/e2e/judge"
)

// Options says who a client is and where.
type Options struct {
	Name    string
	Key     string         // of the user; "" makes one of the name
	As      string         // in the history, where a user has several tabs; "" means Name
	Relays  []string       // WebSocket endpoints, the first that lets it in is taken
	History *judge.History // where all is recorded

	Transport Transport // how it reaches them; the zero value is WebSocket
	Resume    bool      // it goes on with its session when it comes back, where a relay still knows it
}

// Client is one client. Its methods may be called from any goroutine, and those
// that return no error fail the test, so only from the test's.
type Client struct {
	t       testing.TB
	options Options
	cancel  context.CancelFunc
	ctx     context.Context // the client's life
	ended   chan struct{}

	mu      sync.Mutex
	relays  []string
	conn    *conn // nil while away
	ready   bool  // conn stands, and all rooms are joined on it
	welcome welcome
	rooms   map[string]*membership
	signals []string
	last    error // why the last connection ended
	ids     int
	session session
	acks    lostAcks
}

// membership is what a client has of one room.
type membership struct {
	options  JoinOptions
	joined   bool
	offset   string
	messages []judge.Message // as they stand on its screen
	presence []Presence
	resets   []Reset
	rejoins  []Joined
}

// Connect starts a client and waits until it is connected.
func Connect(t testing.TB, options Options) *Client {
	t.Helper()
	if options.Key == "" {
		options.Key = "a-secret-of-" + options.Name + "-0123456789"
	}
	if options.As == "" {
		options.As = options.Name
	}
	m := &Client{t: t, options: options, relays: options.Relays, rooms: map[string]*membership{}, ended: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	go m.run()
	t.Cleanup(m.Quit)
	if _, err := m.awaitReady(context.Background()); err != nil {
		t.Fatalf("%s: %v", options.As, err)
	}
	return m
}

// Quit ends the client; it does not come back.
func (m *Client) Quit() {
	m.cancel()
	m.Cut()
	<-m.ended
}

// Cut ends its connection without a word. It comes back at once.
func (m *Client) Cut() {
	m.mu.Lock()
	c := m.conn
	m.mu.Unlock()
	if c != nil {
		c.cut()
	}
}

// Prefer changes where it goes when it connects the next time.
func (m *Client) Prefer(relays ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.relays = relays
}

// StopReading leaves what the relay sends in the socket, until the connection
// ends or ResumeReading.
func (m *Client) StopReading() {
	m.t.Helper()
	if !m.TryStopReading() {
		m.t.Fatalf("%s stops reading: %v", m.options.As, errGone)
	}
}

// TryStopReading is StopReading where the connection may be gone, or ending.
func (m *Client) TryStopReading() bool {
	m.mu.Lock()
	c := m.conn
	m.mu.Unlock()
	if c == nil {
		return false
	}
	parked := c.hold()
	// The reader waits for one more packet, and so gets one.
	go func() {
		_ = c.call(m.ctx, "leave", map[string]any{"room": "never joined"}, func(json.RawMessage) {})
	}()
	select {
	case <-parked:
		return true
	case <-c.done:
		return false
	}
}

// ResumeReading undoes StopReading.
func (m *Client) ResumeReading() { m.connection().release() }

func (m *Client) connection() *conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil {
		m.t.Fatalf("%s is not connected", m.options.As)
	}
	return m.conn
}

// run keeps a connection until the client quits.
func (m *Client) run() {
	defer close(m.ended)
	for attempt := 0; m.ctx.Err() == nil; attempt++ {
		m.mu.Lock()
		url := m.relays[attempt%len(m.relays)]
		m.mu.Unlock()
		auth := m.auth()
		c, err := dial(m.ctx, m.options.Transport, url, auth, m.onEvent)
		if err != nil {
			m.pause(m.ctx)
			continue
		}
		m.onConnect(c, auth["pid"])
		c.start()
		m.rejoin(c)
		err = c.end()
		m.add(judge.Event{Kind: judge.Gone, Note: fmt.Sprint(err)})
		m.mu.Lock()
		m.conn, m.ready, m.last = nil, false, err
		m.mu.Unlock()
		attempt = -1
	}
}

// rejoin rejoins all rooms that a new connection is not in.
func (m *Client) rejoin(c *conn) {
	m.mu.Lock()
	m.conn, m.welcome = c, c.welcome
	again := map[string]JoinOptions{}
	for name, s := range m.rooms {
		if s.joined {
			continue
		}
		o := s.options
		o.Since = s.offset
		again[name] = o
	}
	m.mu.Unlock()
	if m.ctx.Err() != nil {
		c.cut() // Quit came before it could see the connection
	}
	for name, o := range again {
		for {
			joined, err := m.join(m.ctx, c, name, o)
			if err == nil {
				m.mu.Lock()
				if s := m.rooms[name]; s != nil {
					s.rejoins = append(s.rejoins, joined)
				}
				m.mu.Unlock()
				break
			}
			var no *Refusal
			if !errors.As(err, &no) {
				return // the connection is gone
			}
			m.pause(m.ctx)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready = true
}

// pause is short and spread, as that of clients which come back is.
func (m *Client) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50*time.Millisecond + rand.N(100*time.Millisecond)):
	}
}

// patience bounds what a client waits for.
const patience = 90 * time.Second

// awaitReady waits for a connection with all rooms joined.
func (m *Client) awaitReady(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		m.mu.Lock()
		c, ready := m.conn, m.ready
		m.mu.Unlock()
		if ready {
			return c, nil
		}
		if m.ctx.Err() != nil {
			return nil, errors.New("has quit")
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("not connected within %v", patience)
		}
		m.pause(ctx)
	}
}

// add records what the client does or hears.
func (m *Client) add(e judge.Event) {
	e.Client = m.options.As
	m.options.History.Add(e)
}

// onEvent takes an event, on the connection's reader.
func (m *Client) onEvent(e event) {
	name, body := e.name, e.body
	m.keepOffset(e.offset)
	switch name {
	case "message":
		m.onMessage(body)
	case "reset":
		m.onReset(body)
	case "presence":
		m.onPresence(body)
	case "signal":
		m.mu.Lock()
		m.signals = append(m.signals, string(body))
		m.mu.Unlock()
		m.add(judge.Event{Kind: judge.Told, Note: "signal " + short(body)})
	default:
		m.add(judge.Event{Kind: judge.Told, Note: name + " " + short(body)})
	}
}

func (m *Client) onMessage(body json.RawMessage) {
	var in wireMessage
	if err := json.Unmarshal(body, &in); err != nil {
		m.t.Errorf("%s: not a message: %s", m.options.As, body)
		return
	}
	m.add(judge.Event{Kind: judge.Received, Room: in.Room, Message: in.judged()})
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[in.Room]; s != nil {
		s.offset = in.Offset
		s.messages = append(s.messages, in.judged())
	}
}

func (m *Client) onReset(body json.RawMessage) {
	var in struct {
		Room, Reason, Offset string
		Messages             []wireMessage
	}
	if err := json.Unmarshal(body, &in); err != nil {
		m.t.Errorf("%s: not a reset: %s", m.options.As, body)
		return
	}
	m.add(judge.Event{Kind: judge.Reset, Room: in.Room, Offset: in.Offset, Messages: judged(in.Messages), Note: in.Reason})
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[in.Room]; s != nil {
		s.offset, s.messages = in.Offset, judged(in.Messages)
		s.resets = append(s.resets, Reset{in.Reason, s.messages})
	}
}

func (m *Client) onPresence(body json.RawMessage) {
	var in struct {
		Room string
		Presence
	}
	if err := json.Unmarshal(body, &in); err != nil {
		m.t.Errorf("%s: not a presence: %s", m.options.As, body)
		return
	}
	m.add(judge.Event{Kind: judge.Told, Room: in.Room, Note: in.Presence.String()})
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[in.Room]; s != nil {
		s.presence = append(s.presence, in.Presence)
	}
}
