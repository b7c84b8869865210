package relay

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"setu/relay/wiretest"
)

// question is what an app is asked.
type question struct {
	Type, ID, Relay, Region, Session string
	At                               int64
	User                             struct {
		ID, Name string
		Guest    bool
	}
	Rooms      []string
	Data       json.RawMessage
	Recovering bool
	Auth       json.RawMessage
	Headers    map[string]string
	Query      map[string]any
	Address    string
	Event      string
	Args       json.RawMessage
	WantsAck   bool
	Room       string
	Message    json.RawMessage
}

// app is an application at HOOK_URL.
type app struct {
	t   *testing.T
	url string

	mu     sync.Mutex // guards what follows
	asked  []question
	answer func(question) (status int, body string)
}

// newApp starts an app that takes what Setu has signed, and the settings by which a relay asks it.
func newApp(t *testing.T, answer func(question) (int, string)) (*app, []string) {
	a := &app{t: t, answer: answer}
	verify, err := webhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q question
		if err := json.Unmarshal(body, &q); err != nil || verify.Verify(body, r.Header) != nil || q.ID != r.Header.Get("webhook-id") {
			t.Errorf("%s %v: %v", body, r.Header, err)
		}
		a.mu.Lock()
		a.asked = append(a.asked, q)
		answer := a.answer
		a.mu.Unlock()
		status, text := answer(q)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a, []string{"HOOK_URL=" + srv.URL + "/hook?key=s3cr3t-s3cr3t", "HOOK_NETWORK=any", "HOOK_SECRET=" + hookSecret, "HOOK_TIMEOUT=30s"}
}

// says has the app answer otherwise from now on.
func (a *app) says(answer func(question) (int, string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// questions returns what was asked since the last call.
func (a *app) questions() []question {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.asked
	a.asked = nil
	return out
}

// always is an app with one answer.
func always(status int, body string) func(question) (int, string) {
	return func(question) (int, string) { return status, body }
}

// on is an app that answers requests of one type so, and allows all others.
func on(kind string, status int, body string) func(question) (int, string) {
	return func(q question) (int, string) {
		if q.Type == kind {
			return status, body
		}
		return 200, "{}"
	}
}

// hooked makes a relay that asks an app.
func hooked(t *testing.T, answer func(question) (int, string), pairs ...string) (*rig, *app) {
	t.Helper()
	a, settings := newApp(t, answer)
	return overTCP(t, slices.Concat(settings, pairs)...), a
}

// refusedConnect sends a CONNECT and returns the CONNECT_ERROR that answers it.
func refusedConnect(t *testing.T, p *wiretest.Peer, auth string) string {
	t.Helper()
	p.Packet()
	p.Text("40" + auth)
	return p.Packet()
}

// within fails the test if something takes long.
func within(t *testing.T, d time.Duration, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatal(what, " takes longer than ", d)
	}
}

// expectPrefix reads a packet that begins so.
func expectPrefix(t *testing.T, p *wiretest.Peer, want string) string {
	t.Helper()
	got := p.Packet()
	if !strings.HasPrefix(got, want) {
		t.Fatalf("%s, not %s", got, want)
	}
	return got
}
