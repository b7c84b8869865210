package relay

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/room"
)

// stuckHistory is a store that does not answer when asked for history.
type stuckHistory struct{ broker.Broker }

func (stuckHistory) History(ctx context.Context, _ string, _ broker.Offset, _ int) ([]broker.Message, bool, error) {
	<-ctx.Done()
	return nil, false, broker.ErrUnavailable
}

func (r *rig) publish(name, text string) {
	r.T.Helper()
	body := room.Body("1", broker.User{ID: "~asha", Name: "Asha", Guest: true}, []byte(`{"text":"`+text+`"}`))
	if rc := r.broker.Publish(context.Background(), broker.Publication{Room: name, User: "~asha", ID: "1", Body: body}); rc[0].Err != nil {
		r.T.Fatal(rc[0].Err)
	}
}

func pageOf(address string) *http.Request {
	r := httptest.NewRequest("GET", "/r/harbour", nil)
	r.RemoteAddr = address + ":1"
	return r
}

// The page of a room has what every guest may read, and nothing else.
func TestNewestIsForGuests(t *testing.T) {
	key := "AUTH_SECRET=" + secret
	for _, c := range []struct {
		what  string
		pairs []string
		has   bool
	}{
		{"open", nil, true},
		{"with a key", []string{key}, false}, // a token is required
		{"optional", []string{key, "AUTH=optional"}, false},
		{"may read", []string{key, "AUTH=optional", "GUEST_ROOMS=harbour:join,history"}, true},
		{"may read others", []string{key, "AUTH=optional", "GUEST_ROOMS=lobby:join,history"}, false},
		{"may not read what was before", []string{key, "AUTH=optional", "GUEST_ROOMS=harbour:join,publish,members"}, false},
		{"may not come in", []string{key, "AUTH=optional", "GUEST_ROOMS=harbour:history"}, false},
		{"open, with a key", []string{key, "AUTH=open"}, true},
		{"the app says who comes in", []string{"HOOK_URL=http://127.0.0.1:1/", "HOOK_NETWORK=any", "HOOK_SECRET=" + hookSecret, "HOOK_EVENTS=connect"}, false},
		{"the app says who may join", []string{"HOOK_URL=http://127.0.0.1:1/", "HOOK_NETWORK=any", "HOOK_SECRET=" + hookSecret, "HOOK_EVENTS=join"}, false},
		{"the app hears of events", []string{"HOOK_URL=http://127.0.0.1:1/", "HOOK_NETWORK=any", "HOOK_SECRET=" + hookSecret, "HOOK_EVENTS=event"}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := overTCP(t, c.pairs...)
			r.publish("harbour", "hello")
			got := string(r.srv.Newest(pageOf("192.0.2.1"), "harbour"))
			if has := strings.Contains(got, `"data":{"text":"hello"}`); has != c.has || !has && got != "" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Whoever asks for pages can't have the store read without end, nor wait for it.
func TestNewestIsBounded(t *testing.T) {
	r := overTCP(t, "HISTORY_RATE=1/m:3")
	r.publish("harbour", "hello")
	for i := range 5 {
		if got := r.srv.Newest(pageOf("192.0.2.1"), "harbour"); (got != nil) != (i < 3) {
			t.Errorf("request %d: %s", i, got)
		}
	}
	if r.srv.Newest(pageOf("192.0.2.2"), "harbour") == nil {
		t.Error("another address bears the cost")
	}
	for range newestAtOnce {
		r.srv.newest.reading <- struct{}{}
	}
	if got := r.srv.Newest(pageOf("192.0.2.3"), "harbour"); got != nil {
		t.Errorf("with as many reads under way as there may be: %s", got)
	}
}

func TestNewestDoesNotWait(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		stuck, err := New(r.cfg, stuckHistory{r.broker}, r.cfg.Logger())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stuck.Shutdown(context.Background()) }()
		began := time.Now()
		if got := stuck.Newest(pageOf("192.0.2.1"), "harbour"); got != nil || time.Since(began) > 200*time.Millisecond {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		if n := len(stuck.newest.reading); n != 0 {
			t.Errorf("%d reads are left", n)
		}
	})
}
