package hook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"setu/relay/auth"
	"setu/relay/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	oldSecret = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZA=="
	newSecret = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldw=="
)

// serve returns the address of an app on this machine.
func serve(t *testing.T, app http.HandlerFunc) *url.URL {
	t.Helper()
	srv := httptest.NewServer(app)
	t.Cleanup(srv.Close)
	u, err := ParseURL(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// open returns a Sender to an app on this machine, which the test may reach.
func open(t *testing.T, cfg Config) *Sender {
	t.Helper()
	if cfg.Network == "" {
		cfg.Network = Any
	}
	s, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func outcome(t *testing.T, err error) metrics.HookOutcome {
	t.Helper()
	var failed *Error
	if !errors.Is(err, ErrUnavailable) || !errors.As(err, &failed) {
		t.Fatalf("%v is no *Error", err)
	}
	return failed.Outcome
}

// An app that knows either of two secrets takes what is signed, and nothing else that is sent.
func TestSigned(t *testing.T) {
	body := []byte(`{"a":"ü \u0000"}`)
	requests := make(chan *http.Request, 1)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		for _, secret := range []string{oldSecret, newSecret} {
			w, _ := webhooks.NewWebhook(secret)
			if err := w.Verify(got, r.Header); err != nil {
				t.Error(err)
			}
			if w.Verify(append(got, ' '), r.Header) == nil {
				t.Error("another body")
			}
		}
		other, _ := webhooks.NewWebhook("whsec_" + strings.Repeat("c", 32))
		if other.Verify(got, r.Header) == nil || !bytes.Equal(got, body) {
			t.Errorf("another secret, or another body: %s", got)
		}
		requests <- r
		_, _ = io.WriteString(w, "{}")
	})
	secrets, err := ParseSecrets(newSecret + ", " + oldSecret)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(t, Config{URL: u, Secrets: secrets}).Send(t.Context(), metrics.HookEvent, "the-id", body)
	if err != nil || a.Status != 200 || string(a.Body) != "{}" || !a.OK() {
		t.Fatal(a, err)
	}
	r := <-requests
	if r.Method != "POST" || r.Header.Get("Webhook-Id") != "the-id" || r.Header.Get("Content-Type") != "application/json" {
		t.Error(r.Method, r.Header)
	}
}

func TestSecrets(t *testing.T) {
	for _, bad := range []string{"", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_?" + newSecret[7:], newSecret + "," + newSecret + "," + newSecret, newSecret + ",", newSecret[6:]} {
		if got, err := ParseSecrets(auth.Secret(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		} else if len(bad) > 8 && strings.Contains(err.Error(), bad[7:]) || len(got) > 0 {
			t.Errorf("%v tells what it was", err)
		}
	}
}

// What is not of the internet isn't reached, whatever name it goes by, and an app elsewhere can't send us there.
func TestPrivateAddresses(t *testing.T) {
	var asked atomic.Int32
	u := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	byName := *u
	byName.Host = "localhost:" + u.Port()
	mapped := *u
	mapped.Host = "[::ffff:127.0.0.1]:" + u.Port()
	for _, u := range []*url.URL{u, &byName, &mapped} {
		s := open(t, Config{URL: u, Network: Public})
		if _, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil); outcome(t, err) != metrics.HookFailed || !strings.Contains(err.Error(), "prohibited") {
			t.Error(u, err)
		}
	}
	if asked.Load() > 0 {
		t.Error("the app on this machine was asked")
	}
	for address, private := range map[string]bool{
		"http://10.1.2.3": true, "http://[fdaa::3]:80": true, "http://169.254.169.254/latest": true, "http://0.0.0.0": true, "http://[::1]": true,
		"https://app.internal": true, "https://APP.internal.": true, "http://localhost:3000": true, "http://app:3000": true, "http://100.100.1.1": true,
		"http://[::ffff:10.0.0.1]": true, "https://app.example.com": false, "https://93.184.215.14": false, "https://internal.example.com": false,
		"https://[2606:4700::1]": false,
	} {
		u, err := ParseURL(address)
		if err != nil || IsPrivate(u) != private {
			t.Error(address, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "app.example", "ftp://app.example", "http://", "https://u:p@app.example", "https://app.example/#x", "http://:80", "https://app.example:x"} {
		if u, err := ParseURL(bad); err == nil {
			t.Errorf("%s is taken: %v", bad, u)
		}
	}
}

// A redirect is an answer like any other that is no good: nobody follows it.
func TestRedirects(t *testing.T) {
	var followed atomic.Bool
	other := serve(t, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.String(), http.StatusTemporaryRedirect)
	})
	a, err := open(t, Config{URL: u}).Send(t.Context(), metrics.HookEvent, NewID(), []byte("{}"))
	if err != nil || a.Status != 307 || a.OK() || followed.Load() {
		t.Error(a, err, followed.Load())
	}
}

func TestLargeAnswers(t *testing.T) {
	size := 0
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
	s := open(t, Config{URL: u, MaxAnswer: 1000})
	for size = range []int{1000, 1001} {
		size += 1000
		a, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil)
		if large := size > 1000; large != (err != nil) || large && outcome(t, err) != metrics.HookBad || !large && len(a.Body) != size {
			t.Error(size, len(a.Body), err)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr]++
	})
	s := open(t, Config{URL: u})
	for range 20 {
		if _, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(from) != 1 {
		t.Error(from)
	}
}

// stub is an app of a synctest bubble.
type stub func(*http.Request) (*http.Response, error)

func (f stub) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hang is an app that does not answer.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// answer is an app that gives one answer.
func answer(status int, body string) stub {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// stubbed returns a Sender to such an app.
func stubbed(t *testing.T, cfg Config, app stub) *Sender {
	cfg.URL = &url.URL{Scheme: "http", Host: "app.example"}
	s := open(t, cfg)
	s.http = app
	return s
}

// A slow app costs who asks it its time, and those that it has no turn for less.
func TestBoundedTimeAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		s := stubbed(t, Config{Concurrency: 2, Queue: 3, Timeout: time.Second}, func(r *http.Request) (*http.Response, error) {
			defer now.Add(-1)
			for n := now.Add(1); ; {
				if was := most.Load(); was >= n || most.CompareAndSwap(was, n) {
					break
				}
			}
			return hang(r)
		})
		defer s.Close()
		began := time.Now()
		var all sync.WaitGroup
		got := make(chan metrics.HookOutcome, 10)
		for range 10 {
			all.Go(func() {
				_, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil)
				got <- outcome(t, err)
			})
		}
		synctest.Wait()
		if len(got) != 5 {
			t.Errorf("%d of 10 were sent away at once", len(got))
		}
		all.Wait()
		close(got)
		n := map[metrics.HookOutcome]int{}
		for o := range got {
			n[o]++
		}
		if n[metrics.HookBusy] < 5 || n[metrics.HookBusy]+n[metrics.HookTimeout] != 10 || most.Load() != 2 || time.Since(began) != time.Second {
			t.Error(n, most.Load(), time.Since(began))
		}
	})
}

// Who is gone is not waited for, and is no failure of the app's.
func TestGoneCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stubbed(t, Config{}, hang)
		defer s.Close()
		for range 2 * breakerLeast {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if _, err := s.Send(ctx, metrics.HookEvent, NewID(), nil); outcome(t, err) == metrics.HookOpen {
				t.Fatal(err)
			}
		}
	})
}

// An app that is away isn't asked, but for one request every while; once one is answered it is asked as ever.
func TestBreaker(t *testing.T) {
	for name, away := range map[string]stub{"slow": hang, "gone": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, "gateway": answer(502, "")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				asked := 0
				app := away
				s := stubbed(t, Config{Timeout: 100 * time.Millisecond}, func(r *http.Request) (*http.Response, error) {
					asked++
					return app(r)
				})
				defer s.Close()
				s.breaker.log = slog.New(slog.NewTextHandler(&log, nil))
				send := func() (open bool) {
					_, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil)
					return err != nil && outcome(t, err) == metrics.HookOpen
				}
				for !send() {
				}
				if asked != breakerLeast {
					t.Errorf("asked %d times until it opened", asked)
				}
				for range 100 {
					send()
				}
				if asked != breakerLeast {
					t.Error("asked while it is open")
				}
				time.Sleep(breakerOpen + time.Millisecond)
				if send() || asked != breakerLeast+1 || !send() {
					t.Errorf("asked %d times when it was time to try", asked)
				}
				app = answer(200, "{}")
				time.Sleep(breakerOpen + time.Millisecond)
				for range 20 {
					if send() {
						t.Fatal("an app that is back isn't asked")
					}
				}
				if n := strings.Count(log.String(), "\n"); n != 2 {
					t.Errorf("%d lines:\n%s", n, log.String())
				}
			})
		})
	}
}

// An app that answers is there, whatever it answers: what one client makes it fail at is not the others' to bear.
func TestBreakerStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, app := range []stub{answer(500, ""), answer(404, ""), answer(301, ""), answer(200, strings.Repeat("x", 2000))} {
			s := stubbed(t, Config{MaxAnswer: 1000}, app)
			for range 5 * breakerLeast {
				if _, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil); err != nil && outcome(t, err) != metrics.HookBad {
					t.Fatal(err)
				}
			}
			s.Close()
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stubbed(t, Config{}, hang)
		failed := make(chan error)
		go func() {
			_, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil)
			failed <- err
		}()
		synctest.Wait()
		go s.Close()
		if err := <-failed; outcome(t, err) != metrics.HookFailed {
			t.Error(err)
		}
		synctest.Wait()
		if _, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil); outcome(t, err) != metrics.HookFailed {
			t.Error(err)
		}
	})
}
