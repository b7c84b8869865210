package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
	"setu/relay/socketio"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRelay takes a client's connections; the test plays the relay on each.
type fakeRelay struct {
	t     *testing.T
	conns chan *fakeConn

	// guarded by mu
	mu     sync.Mutex
	refuse error // of the next dials
	dials  []time.Time
}

func (r *fakeRelay) dial(ctx context.Context, _ string) (transport, error) {
	r.mu.Lock()
	r.dials = append(r.dials, time.Now())
	err := r.refuse
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s := &fakeConn{t: r.t, down: make(chan frame, 4096), up: make(chan frame, 4096), gone: make(chan struct{})}
	select {
	case r.conns <- s:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *fakeRelay) refuseWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = err
}

func (r *fakeRelay) dialed() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.dials)
}

// next accepts the client's next connection, with the handshake, CONNECT and the welcome.
func (r *fakeRelay) next() *fakeConn {
	r.t.Helper()
	s := <-r.conns
	s.send(handshake)
	if got := s.read(); !strings.HasPrefix(got, "40") {
		r.t.Fatalf("the client began with %q", got)
	}
	s.send(`40{"sid":"s1"}`)
	s.event("welcome", map[string]any{})
	return s
}

const handshake = `0{"sid":"secret","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":10000}`

// fakeConn is the relay's side of one connection, and its transport on the client's.
type fakeConn struct {
	t    *testing.T
	down chan frame
	up   chan frame
	gone chan struct{}
	once sync.Once
}

var errGone = errors.New("the connection is gone")

func (s *fakeConn) Read(ctx context.Context) ([]byte, bool, error) {
	select {
	case f := <-s.down:
		return f.data, f.binary, f.err
	case <-s.gone:
		return nil, false, errGone
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

func (s *fakeConn) Write(_ context.Context, data []byte, binary bool) error {
	select {
	case s.up <- frame{data: data, binary: binary}:
		return nil
	case <-s.gone:
		return errGone
	}
}

func (s *fakeConn) Close(bool) { s.once.Do(func() { close(s.gone) }) }

// cut ends the connection as the network would, after what was sent.
func (s *fakeConn) cut() { s.down <- frame{err: errGone} }

func (s *fakeConn) send(text string, attachments ...string) {
	s.down <- frame{data: []byte(text)}
	for _, a := range attachments {
		s.down <- frame{data: []byte(a), binary: true}
	}
}

// event sends an event.
func (s *fakeConn) event(name string, arg any) {
	data, err := json.Marshal(arg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(`42["` + name + `",` + string(data) + `,"o"]`)
}

// read returns the client's next frame, a text, which must come within a short time.
func (s *fakeConn) read() string {
	s.t.Helper()
	return s.readKind(false)
}

func (s *fakeConn) readKind(binary bool) string {
	s.t.Helper()
	select {
	case f := <-s.up:
		if f.binary != binary {
			s.t.Fatalf("the client sent %q, binary: %v", f.data, f.binary)
		}
		return string(f.data)
	case <-time.After(time.Hour):
		s.t.Fatal("the client says nothing")
		return ""
	}
}

// request is an event of the client that waits for its ack.
type request struct {
	conn *fakeConn
	id   uint64
	name string
	arg  map[string]any
	text string // of the packet

	attachments []string
}

// request returns the client's next event, and answers pings until then.
func (s *fakeConn) request(want string) request {
	s.t.Helper()
	for {
		text := s.read()
		frame, err := engineio.Parse([]byte(text), false)
		if err != nil {
			s.t.Fatal(err)
		}
		if frame.Type == engineio.Pong {
			continue
		}
		p, err := socketio.Parse(frame.Data)
		if err != nil {
			s.t.Fatalf("%q: %v", text, err)
		}
		name, args, err := socketio.Arguments(p.Data)
		if err != nil {
			s.t.Fatalf("%q: %v", text, err)
		}
		r := request{conn: s, id: p.ID, name: name, text: string(frame.Data)}
		if err := json.Unmarshal(args[0], &r.arg); err != nil {
			s.t.Fatal(err)
		}
		for range p.Attachments {
			r.attachments = append(r.attachments, s.readKind(true))
		}
		if name == "ping" && want != "ping" {
			r.ack(`{"ok":true,"at":1}`)
			continue
		}
		if name != want {
			s.t.Fatalf("the client sent %q, want %s", text, want)
		}
		return r
	}
}

func (r request) ack(body string) { r.conn.send(fmt.Sprintf("43%d[%s]", r.id, body)) }

func (r request) ackBinary(body string, attachments ...string) {
	r.conn.send(fmt.Sprintf("46%d-%d[%s]", len(attachments), r.id, body), attachments...)
}

// answerPings answers ping events until the client sends another packet, which it returns.
func (s *fakeConn) answerPings() string {
	for {
		select {
		case f := <-s.up:
			text := string(f.data)
			head, is := strings.CutSuffix(text, `["ping",{}]`)
			if !is {
				return text
			}
			s.send("43" + head[2:] + `[{"ok":true}]`)
		case <-s.gone:
			return ""
		}
	}
}

// quiet checks that the client sends nothing but pings.
func (s *fakeConn) quiet() {
	s.t.Helper()
	synctest.Wait()
	for len(s.up) > 0 {
		if text := s.read(); !strings.Contains(text, `["ping",{}]`) && text != "3" {
			s.t.Fatalf("the client said %q", text)
		}
	}
}

// log records what a Handler was called with, one line per call.
type log struct {
	// guarded by mu
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *log) handler() Handler {
	return Handler{
		State: func(s State) { l.add("state %v", s.Status) },
		Welcome: func(w Welcome) {
			left := ""
			if w.Left != nil {
				left = fmt.Sprint(" left ", w.Left)
			}
			l.add("welcome %s%s", w.Relay, left)
		},
		Message: func(m Message) {
			what := "message"
			if m.Recovered {
				what = "recovered"
			}
			l.add("%s %s %d%s", what, m.Room, m.Seq, with(m.Attachments))
		},
		Event: func(m Message) {
			what := "event"
			if m.Recovered {
				what = "recovered"
			}
			l.add("%s %s %s %s %d%s", what, m.Event, m.Args, m.Room, m.Seq, with(m.Attachments))
		},
		Signal: func(s Signal) {
			l.add("signal %s %s %s%s%s%s", s.Room, s.From.Name, s.Event, string(s.Data), string(s.Args), with(s.Attachments))
		},
		Presence: func(p Presence) {
			renamed := ""
			for _, u := range p.Renamed {
				renamed += " =" + u.Name
			}
			l.add("presence %s %d +%d -%d%s", p.Room, p.Count, len(p.Joined), len(p.Left), renamed)
		},
		Reset: func(r Reset) { l.add("reset %s %s %d", r.Room, r.Reason, len(r.Messages)) },
		Rejoined: func(j Joined) {
			rights := ""
			if j.Rights != nil {
				rights = fmt.Sprint(" ", j.Rights)
			}
			l.add("rejoined %s %v %d%s", j.Room, j.Recovered, j.Missed, rights)
		},
		Renewed: func(r Renewed) { l.add("renewed %d %v", r.Expires, r.Left) },
		Error:   func(err error) { l.add("error %v", err) },
	}
}

// with describes attachments, if there are any.
func with(attachments [][]byte) string {
	if len(attachments) == 0 {
		return ""
	}
	return fmt.Sprintf(" %q", attachments)
}

// take returns the lines since the last take, without states and welcomes that say nothing, once all
// goroutines are idle.
func (l *log) take() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, line := range l.lines {
		if !strings.HasPrefix(line, "state") && line != "welcome " {
			out = append(out, line)
		}
	}
	l.lines = nil
	return strings.Join(out, "; ")
}

// play runs a test against a fake relay, on a fake clock, with a client whose random waits are the
// longest.
func play(t *testing.T, o Options, script func(t *testing.T, r *fakeRelay, c *Client, l *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRelay{t: t, conns: make(chan *fakeConn)}
		l := &log{}
		if o.Handler.Message == nil {
			o.Handler = l.handler()
		}
		c, err := newClient("http://relay.test", o.withDefaults(), r.dial)
		if err != nil {
			t.Fatal(err)
		}
		c.jitter = func(bound time.Duration) time.Duration { return bound }
		c.start()
		defer c.Close()
		script(t, r, c, l)
	})
}

// message returns a message as relays send it, whose id and offset contain seq.
func message(room string, seq int) map[string]any {
	return map[string]any{"room": room, "seq": seq, "id": fmt.Sprint("m", seq), "at": 1, "data": seq,
		"offset": fmt.Sprint("o", seq), "from": map[string]any{"id": "u", "name": "Asha", "guest": true}}
}

// joinAck returns the answer to a join, with messages from first to last.
func joinAck(room string, recovered bool, offset string, seqs ...int) string {
	list := []any{}
	for _, n := range seqs {
		list = append(list, message(room, n))
	}
	b, _ := json.Marshal(map[string]any{"ok": true, "room": room, "offset": offset, "recovered": recovered,
		"messages": list, "count": 2})
	return string(b)
}

// join joins a room that has messages up to seq.
func join(t *testing.T, c *Client, s *fakeConn, room string, o JoinOptions, seqs ...int) Joined {
	t.Helper()
	got := make(chan Joined, 1)
	go func() {
		j, err := c.Join(t.Context(), room, o)
		if err != nil {
			t.Errorf("join: %v", err)
		}
		got <- j
	}()
	offset := "o0"
	if len(seqs) > 0 {
		offset = fmt.Sprint("o", seqs[len(seqs)-1])
	}
	s.request("join").ack(joinAck(room, false, offset, seqs...))
	return <-got
}

func ok(seq int) string {
	return fmt.Sprintf(`{"ok":true,"room":"a","id":"x","offset":"o%d","seq":%d,"at":5}`, seq, seq)
}

type publishResult struct {
	Published
	err error
}

func publish(ctx context.Context, c *Client, room string, data any, id string) <-chan publishResult {
	out := make(chan publishResult, 1)
	go func() {
		p, err := c.Publish(ctx, room, data, id)
		out <- publishResult{p, err}
	}()
	return out
}

const refusedBusy = `{"ok":false,"error":{"code":"unavailable","message":"try later","retry":1000}}`

// text returns v as JSON.
func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
