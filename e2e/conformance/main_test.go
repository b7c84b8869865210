// Package conformance holds the relay's engine to what the official suites of Engine.IO v4 and
// Socket.IO v5 ask of a server, case by case, against the fixture that they are pointed at. Its
// tests are named after the suites' sections and cases.
package conformance

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"setu/e2e/fixture/table"
	"setu/relay/engineio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the fixture behind a listener.
type server struct {
	url  string
	path string
	web  *http.Client
}

// patient is for cases that hang on no figure: on a busy machine no heartbeat may come between.
var patient = []string{"PING_INTERVAL=1m", "PING_TIMEOUT=1m", "CONNECT_TIMEOUT=1m"}

// serve starts a fixture with the suites' settings, but for those given; path is one of its two.
func serve(t *testing.T, path string, settings ...string) *server {
	t.Helper()
	fixture, err := table.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(fixture)
	transport := &http.Transport{}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // in a hurry
		_ = fixture.Shutdown(ctx)
		transport.CloseIdleConnections()
		web.Close()
	})
	return &server{url: web.URL, path: path, web: &http.Client{Transport: transport}}
}

// ask sends a request.
func (s *server) ask(t *testing.T, method, query, body string) (status int, content string) {
	t.Helper()
	status, content, err := s.try(t.Context(), method, query, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, content
}

func (s *server) try(ctx context.Context, method, query, body string) (status int, content string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+s.path+"?"+query, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	res, err := s.web.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

const polling = "EIO=4&transport=polling"

// open opens a session by long polling and returns the query of its requests.
func (s *server) open(t *testing.T) (query, sid string) {
	t.Helper()
	_, content := s.ask(t, "GET", polling, "")
	h, err := engineio.ParseHandshake([]byte(strings.TrimPrefix(content, "0")))
	if err != nil {
		t.Fatal(content, err)
	}
	return polling + "&sid=" + h.SID, h.SID
}

// wants asserts one request's answer.
func (s *server) wants(t *testing.T, method, query, body string, status int, content string) {
	t.Helper()
	if got, text := s.ask(t, method, query, body); got != status || content != "" && text != content {
		t.Errorf("%s %s: %d %q, want %d %q", method, query, got, text, status, content)
	}
}

// socket is a WebSocket.
type socket struct {
	t *testing.T
	c *websocket.Conn
}

// refused asserts that a WebSocket is not opened.
func (s *server) refused(t *testing.T, query string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), s.url+s.path+"?"+query, nil)
	if err == nil {
		_ = c.CloseNow()
		t.Errorf("%s: was opened", query)
	}
}

// dial opens a WebSocket; with a sid, for that session.
func (s *server) dial(t *testing.T, sid string) *socket {
	t.Helper()
	query := "EIO=4&transport=websocket"
	if sid != "" {
		query += "&sid=" + sid
	}
	c, _, err := websocket.Dial(t.Context(), s.url+s.path+"?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &socket{t, c}
}

func (k *socket) send(text ...string) {
	k.t.Helper()
	for _, s := range text {
		if err := k.c.Write(k.t.Context(), websocket.MessageText, []byte(s)); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *socket) sendBytes(b ...byte) {
	k.t.Helper()
	if err := k.c.Write(k.t.Context(), websocket.MessageBinary, b); err != nil {
		k.t.Fatal(err)
	}
}

// next reads a message: text as it is, and bytes behind "bytes:".
func (k *socket) next() string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	kind, b, err := k.c.Read(ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	if kind == websocket.MessageBinary {
		return "bytes:" + string(b)
	}
	return string(b)
}

func (k *socket) wants(messages ...string) {
	k.t.Helper()
	for _, want := range messages {
		if got := k.next(); got != want {
			k.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// closed reads up to the end, which the server brings about before any time is over that the patient give.
func (k *socket) closed() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 40*time.Second)
	defer cancel()
	for {
		if _, _, err := k.c.Read(ctx); err != nil {
			if ctx.Err() != nil {
				k.t.Error("it stays open")
			}
			return
		}
	}
}

// handshake checks the packet that opens a session.
func handshake(t *testing.T, packet string, upgrades string) {
	t.Helper()
	h, err := engineio.ParseHandshake([]byte(strings.TrimPrefix(packet, "0")))
	want := `,"upgrades":` + upgrades + `,"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`
	if err != nil || packet != `0{"sid":"`+h.SID+`"`+want {
		t.Errorf("handshake %s: %v", packet, err)
	}
}
