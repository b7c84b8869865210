package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// fakeApp answers in the test's own process, on its clock.
type fakeApp struct {
	answer func(body map[string]any) (status int, err error) // guarded by mu

	mu     sync.Mutex
	bodies []string // of what it took, as they came
	tries  int
}

// RoundTrip implements http.RoundTripper.
func (a *fakeApp) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tries++
	var is map[string]any
	if err := json.Unmarshal(body, &is); err != nil {
		return nil, err
	}
	status := http.StatusNoContent
	if a.answer != nil {
		if status, err = a.answer(is); err != nil {
			return nil, err
		}
	}
	if status < 300 {
		if is["id"] != r.Header.Get("webhook-id") {
			return nil, errors.New("another id in the header")
		}
		a.bodies = append(a.bodies, string(body))
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}, nil
}

func (a *fakeApp) answers(f func(body map[string]any) (int, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

// took returns "type subject" of all that it took.
func (a *fakeApp) took() (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.bodies {
		var is told
		var u broker.User
		_ = json.Unmarshal([]byte(b), &is)
		_ = json.Unmarshal(is.User, &u)
		out = append(out, is.Type+" "+u.ID+is.Room)
	}
	return out
}

// tellFake has a fake app told from a store of its own, in a bubble.
func tellFake(t *testing.T, l broker.NoticeLimits, wrap func(broker.Notices) broker.Notices) (*broker.Memory, *fakeApp, *metrics.Metrics) {
	t.Helper()
	l.On = true
	store, app, m := broker.NewMemory(broker.Limits{History: 1, TTL: time.Hour, Notices: l}), &fakeApp{}, metrics.New()
	u, _ := url.Parse("http://app")
	s, err := New(Config{URL: u, Secrets: nil, Network: Any, Lane: metrics.HookTold, Metrics: m, Transport: app}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var notices broker.Notices = store
	if wrap != nil {
		notices = wrap(store)
	}
	teller := Tell(notices, s, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		teller.Close()
		s.Close()
		_ = store.Close(context.Background())
	})
	return store, app, m
}

func pass(d time.Duration) {
	<-time.After(d) // of the bubble's clock
	synctest.Wait()
}

func someone(id string) broker.User { return broker.User{ID: id, Name: "N " + id, Guest: true} }

func TestTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, app, m := tellFake(t, broker.NoticeLimits{Grace: 10 * time.Second, Keep: time.Hour}, nil)
		store.Online(someone("ann"))
		_, _ = store.Enter(t.Context(), `a "room"`, someone("ann"))
		pass(time.Second)
		if got := app.took(); !slices.Equal(got, []string{"user.online ann", `room.occupied a "room"`}) && !slices.Equal(got, []string{`room.occupied a "room"`, "user.online ann"}) {
			t.Errorf("took %q", got)
		}
		slices.Sort(app.bodies)
		for i, want := range []string{
			`^{"type":"room.occupied","id":"presence-[0-9a-f]{20}","at":946684800000,"room":"a \\"room\\"","fence":946684800000001}$`,
			`^{"type":"user.online","id":"presence-[0-9a-f]{20}","at":946684800000,"user":{"id":"ann","name":"N ann","guest":true},"fence":946684800000000}$`,
		} {
			if !regexp.MustCompile(want).MatchString(app.bodies[i]) {
				t.Errorf("body %s, want %s", app.bodies[i], want)
			}
		}
		store.Offline("ann")
		pass(9 * time.Second)
		if n := len(app.took()); n != 2 {
			t.Errorf("took %q within the grace", app.took())
		}
		pass(2 * time.Second)
		if got := app.took(); len(got) != 3 || got[2] != "user.offline ann" {
			t.Errorf("took %q", got)
		}
		if text := readMetrics(m); !strings.Contains(text, `setu_presence_notices_total{result="told"} 3`) || !strings.Contains(text, `setu_hook_requests_total{outcome="ok",type="presence"} 3`) ||
			!strings.Contains(text, "setu_presence_notice_duration_seconds_count 3") {
			t.Error("counted otherwise")
		}
	})
}

func readMetrics(m *metrics.Metrics) string {
	w := &strings.Builder{}
	r, _ := http.NewRequest("GET", "/metrics", nil)
	m.Handler().ServeHTTP(textWriter{w}, r)
	return w.String()
}

type textWriter struct{ *strings.Builder }

func (textWriter) Header() http.Header { return http.Header{} }
func (textWriter) WriteHeader(int)     {}

// An app that is down for minutes misses nothing, is asked seldom meanwhile, and is told of each user in
// order.
func TestToldWhenAppIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, app, _ := tellFake(t, broker.NoticeLimits{Keep: time.Hour}, nil)
		app.answers(func(map[string]any) (int, error) { return 0, errors.New("connection refused") })
		const users, rounds = 100, 3
		for range rounds {
			for i := range users {
				store.Online(someone(fmt.Sprint(i)))
			}
			pass(30 * time.Second)
			for i := range users {
				store.Offline(fmt.Sprint(i))
			}
			pass(30 * time.Second)
		}
		if app.tries > 200 {
			t.Errorf("%d tries in 3 minutes while the app was down", app.tries)
		}
		app.answers(nil)
		pass(45 * time.Second)
		of := map[string][]string{}
		for _, line := range app.took() {
			kind, id, _ := strings.Cut(line, " ")
			of[id] = append(of[id], kind)
		}
		if len(of) != users {
			t.Errorf("was told of %d users", len(of))
		}
		for id, kinds := range of {
			if strings.Join(kinds, " ") != strings.TrimSpace(strings.Repeat("user.online user.offline ", rounds)) {
				t.Errorf("of %s: %q", id, kinds)
			}
		}
	})
}

// What the app does not take of one user holds nobody else up, and dies in the end.
func TestToldBesideOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, app, m := tellFake(t, broker.NoticeLimits{Keep: 5 * time.Minute}, nil)
		app.answers(func(is map[string]any) (int, error) {
			if u, _ := is["user"].(map[string]any); u["id"] == "bad" {
				return 500, nil
			}
			return 200, nil
		})
		store.Online(someone("bad"))
		for i := range 100 {
			pass(time.Second)
			store.Online(someone(fmt.Sprint(i)))
		}
		pass(time.Second)
		if n := len(app.took()); n != 100 {
			t.Errorf("took %d", n)
		}
		store.Offline("bad")
		pass(10 * time.Minute)
		dead, err := store.DeadNotices(t.Context(), "", 10)
		if len(dead) != 2 || err != nil || dead[1].Kind != broker.UserOnline || dead[1].Why != "it answered 500" {
			t.Fatalf("dead are %+v, %v", dead, err)
		}
		if tries := app.tries - 100; tries < 15 || tries > 60 {
			t.Errorf("%d tries", tries)
		}
		app.answers(nil)
		if err := store.ResendNotice(t.Context(), dead[1].Dead); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := app.took(); got[len(got)-1] != "user.online bad" || !strings.Contains(app.bodies[len(got)-1], dead[1].ID) {
			t.Errorf("took %q", got[len(got)-1])
		}
		if text := readMetrics(m); !strings.Contains(text, `setu_presence_notices_total{result="dead"} 2`) {
			t.Error("counted otherwise")
		}
	})
}

// forgetful loses acks.
type forgetful struct {
	broker.Notices
	mu   sync.Mutex
	lost int
}

func (f *forgetful) AckNotice(ctx context.Context, n broker.Notice) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost++; f.lost <= 3 {
		return broker.ErrUnavailable
	}
	return f.Notices.AckNotice(ctx, n)
}

// A store that can't be told that the app took a notice is told later, before another relay tells it again.
func TestToldWhileStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, app, _ := tellFake(t, broker.NoticeLimits{Keep: time.Hour}, func(n broker.Notices) broker.Notices { return &forgetful{Notices: n} })
		store.Online(someone("ann"))
		pass(5 * time.Second)
		store.Offline("ann")
		pass(3 * broker.NoticeClaim)
		if got := app.took(); !slices.Equal(got, []string{"user.online ann", "user.offline ann"}) {
			t.Errorf("took %q", got)
		}
	})
}

// Close waits for what is being told, and leaves the rest to others.
func TestTellerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := broker.NoticeLimits{On: true, Keep: time.Hour}
		store, app := broker.NewMemory(broker.Limits{History: 1, TTL: time.Hour, Notices: l}), &fakeApp{}
		defer store.Close(t.Context())
		u, _ := url.Parse("http://app")
		s, err := New(Config{URL: u, Network: Any, Transport: slowApp{app}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		teller := Tell(store, s, slog.New(slog.DiscardHandler))
		store.Online(someone("ann"))
		pass(time.Millisecond)
		began := time.Now()
		teller.Close()
		if d := time.Since(began); d != time.Second-time.Millisecond {
			t.Errorf("closed after %v", d)
		}
		store.Online(someone("ben"))
		pass(time.Minute)
		if got := app.took(); !slices.Equal(got, []string{"user.online ann"}) {
			t.Errorf("took %q", got)
		}
		some, err := store.TakeNotices(t.Context(), 10)
		if len(some) != 1 || some[0].User == "" || broker.UserID(some[0].User) != "ben" || err != nil {
			t.Errorf("left are %v, %v", some, err)
		}
	})
}

type slowApp struct{ *fakeApp }

func (s slowApp) RoundTrip(r *http.Request) (*http.Response, error) {
	<-time.After(time.Second)
	return s.fakeApp.RoundTrip(r)
}
