package relay

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Notices of presence that the app did not take in time are listed, and sent again.
func TestAPIDeadNotices(t *testing.T) {
	app := newToldApp(t)
	var down atomic.Bool
	down.Store(true)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		app.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	r := overTCP(t, apiKeys, "HOOK_URL="+front.URL, "HOOK_NETWORK=any", "HOOK_EVENTS=presence", "HOOK_TIMEOUT=30s", "HOOK_KEEP=5s")
	a := r.api(t)
	if s := a.ask("GET", "hooks/dead", ""); s.status != 200 || s.body != `{"notices":[]}`+"\n" {
		t.Fatal(s)
	}
	r.member("asha", "lobby")
	var list struct {
		Notices []struct{ Dead, Why, Type, Room string }
	}
	for end := time.Now().Add(patience); len(list.Notices) < 2 && time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		s := a.ask("GET", "hooks/dead?limit=10", "")
		if err := json.Unmarshal([]byte(s.body), &list); err != nil || s.status != 200 {
			t.Fatal(s, err)
		}
	}
	if len(list.Notices) != 2 || list.Notices[0].Why != "it answered 500" {
		t.Fatal(list)
	}
	if s := a.ask("GET", "hooks/dead?before="+list.Notices[0].Dead, ""); strings.Count(s.body, `"dead"`) != 1 {
		t.Error(s)
	}
	down.Store(false)
	for _, n := range list.Notices {
		if s := a.ask("POST", "hooks/dead/"+n.Dead+"/retry", ""); s.status != 204 {
			t.Error(s)
		}
		want := map[string]string{"user.online": "user.online asha", "room.occupied": "room.occupied lobby"}[n.Type]
		for end := time.Now().Add(patience); !slices.Contains(app.heard(), want); <-time.After(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("told %q, not %q", app.heard(), want)
			}
		}
	}
	for _, path := range []string{"hooks/dead/" + list.Notices[0].Dead + "/retry", "hooks/dead/1-1/retry"} {
		if s := a.ask("POST", path, ""); s.status != 404 || s.code(t) != "not_found" {
			t.Error(s)
		}
	}
	if s := a.as(readKey).ask("POST", "hooks/dead/1/retry", ""); s.status != 403 {
		t.Error(s)
	}
}
