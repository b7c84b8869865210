package relay

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"setu/relay/engineio"
)

// polls is a client by long polling.
type polls struct {
	t    testing.TB
	web  *http.Client
	sid  string
	acks int
	held []string // packets that came with an answer and were not looked at yet
}

// reply is what came of a request.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // there was no answer
}

// is asserts what a reply says.
func (got reply) is(t testing.TB, status int, body string) {
	t.Helper()
	if got.err != nil || got.status != status || got.body != body {
		t.Errorf("got %d %.200q (%v), want %d %.200q", got.status, got.body, got.err, status, body)
	}
}

const (
	unknownSID = `{"code":1,"message":"Session ID unknown"}`
	refusal    = `{"code":3,"message":"Bad request"}`
)

// client makes an HTTP client whose connections stay open between requests, as a browser's do.
func (r *rig) client(t testing.TB) *http.Client {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return r.dialer(), nil }}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// polls opens a session.
func (r *rig) polls() *polls {
	r.t.Helper()
	p := &polls{t: r.t, web: r.client(r.t)}
	got := p.get()
	h, err := engineio.ParseHandshake([]byte(strings.TrimPrefix(got.body, "0")))
	if got.err != nil || got.status != http.StatusOK || err != nil {
		r.t.Fatalf("no handshake but %d %q: %v, %v", got.status, got.body, got.err, err)
	}
	p.sid = h.SID
	return p
}

// pollingGuest makes a client by long polling that is connected to "/".
func (r *rig) pollingGuest(name string) *polls {
	r.t.Helper()
	p := r.polls()
	p.say(`40{"name":"` + name + `"}`)
	if s := p.packet(); !strings.HasPrefix(s, `40{"sid":"`) {
		r.t.Fatal("no CONNECT but ", s)
	}
	if s := p.packet(); !strings.HasPrefix(s, `42["welcome",{`) {
		r.t.Fatal("no welcome but ", s)
	}
	return p
}

// pollingMember makes one that is in a room.
func (r *rig) pollingMember(name, room string) *polls {
	r.t.Helper()
	p := r.pollingGuest(name)
	if ack := p.call("join", `{"room":"`+room+`"}`); field(r.t, ack, "ok") != "true" {
		r.t.Fatal("join: ", ack)
	}
	return p
}

func (p *polls) send(ctx context.Context, method, query string, body io.Reader, header ...string) (got reply) {
	target := "http://relay" + Path + "?EIO=4&transport=polling" + query
	if p.sid != "" {
		target += "&sid=" + p.sid
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := p.web.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), err}
}

func (p *polls) get() reply { return p.send(context.Background(), "GET", "", nil) }

func (p *polls) post(body string, header ...string) reply {
	return p.send(context.Background(), "POST", "", strings.NewReader(body), header...)
}

// later does a request meanwhile.
func later(request func() reply) <-chan reply {
	answer := make(chan reply, 1)
	go func() { answer <- request() }()
	return answer
}

// waiting has a GET wait, in a bubble.
func (p *polls) waiting() <-chan reply {
	answer := later(p.get)
	synctest.Wait()
	return answer
}

// say posts packets.
func (p *polls) say(packets ...string) {
	p.t.Helper()
	if got := p.post(strings.Join(packets, "\x1e")); got.err != nil || got.status != http.StatusOK || got.body != "ok" {
		p.t.Fatalf("POST: %d %q %v", got.status, got.body, got.err)
	}
}

// packet returns the next packet, and answers pings.
func (p *polls) packet() string {
	p.t.Helper()
	for {
		for len(p.held) == 0 {
			got := p.get()
			if got.err != nil || got.status != http.StatusOK {
				p.t.Fatalf("GET: %d %q %v", got.status, got.body, got.err)
			}
			p.held = strings.Split(got.body, "\x1e")
		}
		s := p.held[0]
		if p.held = p.held[1:]; s != "2" {
			return s
		}
		p.say("3")
	}
}

func (p *polls) expect(want string) {
	p.t.Helper()
	if got := p.packet(); got != want {
		p.t.Fatalf("got %s, want %s", got, want)
	}
}

// call sends a request and waits for its answer; what comes before is kept.
func (p *polls) call(event, arg string) string {
	p.t.Helper()
	p.acks++
	id := strconv.Itoa(p.acks)
	p.say("42" + id + `["` + event + `",` + arg + `]`)
	var before []string
	for {
		s := p.packet()
		if body, ok := strings.CutPrefix(s, "43"+id+"["); ok {
			p.held = append(before, p.held...)
			return strings.TrimSuffix(body, "]")
		}
		before = append(before, s)
	}
}

// probe opens the WebSocket that the session is to move to, and asks by it.
func (p *polls) probe(r *rig) *peer {
	p.t.Helper()
	k := upgradeTo(p.t, r.dial(), p.sid)
	k.text("2probe")
	k.expect("3probe")
	return k
}

// tape is a handler that notes what its client sent, and does something with it.
type tape struct {
	s  *Session
	on func(s *Session, data []byte, binary bool) error

	mu     sync.Mutex
	heard  []string
	stops  int
	closes int
}

// tapes makes handlers that do on with each message, and can be found by the session.
func tapes(on func(s *Session, data []byte, binary bool) error) func(*Session) Handler {
	return func(s *Session) Handler { return &tape{s: s, on: on} }
}

// echo answers every message with itself.
func echo(s *Session, data []byte, binary bool) error {
	s.Send(engineio.NewMessage(data, binary))
	return nil
}

func (h *tape) Message(data []byte, binary bool) error {
	h.mu.Lock()
	if h.closes > 0 {
		h.heard = append(h.heard, "after the end")
	}
	h.heard = append(h.heard, string(data))
	h.mu.Unlock()
	return h.on(h.s, data, binary)
}

func (h *tape) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stops++
}

func (h *tape) Closed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closes++
}

// errorOf reads the code of a refusal.
func errorOf(t testing.TB, body string) int {
	t.Helper()
	var e engineio.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Errorf("%q: %v", body, err)
		return -1
	}
	return e.Code
}
