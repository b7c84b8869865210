package balancer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"setu/e2e/balancer"
	"setu/e2e/cluster"
)

// relay answers a request with its name and what it was sent, and a WebSocket
// with what it says.
type relay struct {
	*httptest.Server
	ready atomic.Bool
	asked atomic.Int64 // whether it is
}

func start(t *testing.T, name string) *relay {
	r := &relay{}
	r.ready.Store(true)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/readyz" {
			r.asked.Add(1)
		}
		switch {
		case request.URL.Path == "/readyz" && !r.ready.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case request.URL.Path == "/refuse":
			http.Error(w, "no", http.StatusBadRequest)
		case request.Header.Get("Upgrade") != "":
			echo(w, request)
		default:
			body, _ := io.ReadAll(request.Body)
			fmt.Fprintf(w, "%s %s %s", name, request.Host, body)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func echo(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		kind, data, err := ws.Read(r.Context())
		if err != nil || ws.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

func (r *relay) address() string { return r.Listener.Addr().String() }

var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func post(t *testing.T, b *balancer.Balancer, path, body string) (status int, answer string) {
	t.Helper()
	response, err := direct.Post(b.URL()+path, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

// whoAnswers is the names of the relays that answer n requests.
func whoAnswers(t *testing.T, b *balancer.Balancer, n int) (names string) {
	t.Helper()
	for range n {
		_, answer := post(t, b, "/?sid=s1", "hello")
		name, rest, _ := strings.Cut(answer, " ")
		if want := strings.TrimPrefix(b.URL(), "http://") + " hello"; rest != want {
			t.Errorf("answered %q, want %q", rest, want)
		}
		names += name
	}
	return names
}

func TestEachRequestGoesToTheNext(t *testing.T) {
	t.Parallel()
	one, two, three := start(t, "1"), start(t, "2"), start(t, "3")
	b := balancer.Start(t, one.address(), two.address(), three.address())
	if got := whoAnswers(t, b, 9); !strings.Contains("123123123123", got) {
		t.Errorf("answered by %s", got)
	}
	requests := b.Requests()
	for _, r := range requests {
		if r.Session != "s1" || r.Status != 200 || r.Failed() || r.Relay == "" || r.Ended.IsZero() {
			t.Errorf("%v", r)
		}
	}
	if len(requests) != 9 {
		t.Errorf("%d requests", len(requests))
	}
}

func TestRelayThatIsDownIsPassedOver(t *testing.T) {
	t.Parallel()
	one, two, three := start(t, "1"), start(t, "2"), start(t, "3")
	b := balancer.Start(t, one.address(), two.address(), three.address())
	two.Close() // at once, so before anybody has checked
	if got := whoAnswers(t, b, 6); strings.Contains(got, "2") || strings.Count(got, "1")+strings.Count(got, "3") != 6 {
		t.Errorf("answered by %s", got)
	}
	three.ready.Store(false)
	cluster.Eventually(t, time.Minute, "only the first answers", func() error {
		if got := whoAnswers(t, b, 4); got != "1111" {
			return fmt.Errorf("answered by %s", got)
		}
		return nil
	})
	b.Point(three.address())
	three.ready.Store(true)
	cluster.Eventually(t, time.Minute, "the third answers", func() error {
		if status, answer := post(t, b, "/", ""); status != 200 || !strings.HasPrefix(answer, "3") {
			return fmt.Errorf("answered %d %s", status, answer)
		}
		return nil
	})
	three.Close()
	if status, _ := post(t, b, "/", ""); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d where no relay is up", status)
	}
}

// Without health checks a relay that drains gets requests until it takes none.
func TestBlindBalancerAsksNobody(t *testing.T) {
	t.Parallel()
	one, two := start(t, "1"), start(t, "2")
	b := balancer.StartBlind(t, one.address(), two.address())
	two.ready.Store(false)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); { // three checks would fit in
		if got := whoAnswers(t, b, 4); !strings.Contains("121212", got) {
			t.Fatalf("answered by %s", got)
		}
	}
	if n := two.asked.Load(); n != 0 {
		t.Errorf("asked %d times whether it is ready", n)
	}
	two.Close()
	if got := whoAnswers(t, b, 4); got != "1111" {
		t.Errorf("answered by %s", got)
	}
}

func TestRefusalIsTakenDown(t *testing.T) {
	t.Parallel()
	b := balancer.Start(t, start(t, "1").address())
	if status, answer := post(t, b, "/refuse?sid=s2", ""); status != 400 || answer != "no\n" {
		t.Errorf("answered %d %q", status, answer)
	}
	if r := b.Requests()[0]; !r.Failed() || r.Session != "s2" || r.Status != 400 || r.Error != "no\n" {
		t.Errorf("%v", r)
	}
}

func TestWebSocketPassesUntilItIsCut(t *testing.T) {
	t.Parallel()
	one := start(t, "1")
	b := balancer.Start(t, one.address())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, b.URL()+"/?transport=websocket&sid=s3", &websocket.DialOptions{HTTPClient: direct})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageBinary, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if kind, data, err := ws.Read(ctx); kind != websocket.MessageBinary || string(data) != "hello" || err != nil {
		t.Errorf("%v %q %v", kind, data, err)
	}
	now := time.Now()
	if r := b.Requests()[0]; !r.WebSocket || r.Status != 101 || !r.Ended.IsZero() || !r.WasWith(one.address(), now, now) {
		t.Errorf("%v", r)
	}
	b.Cut()
	if _, _, err := ws.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("after the cut: %v", err)
	}
	cluster.Eventually(t, time.Minute, "its end is known", func() error {
		if r := b.Requests()[0]; r.Ended.IsZero() || r.WasWith(one.address(), time.Now(), time.Now()) || r.WasWith("another", now, now) {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
}
