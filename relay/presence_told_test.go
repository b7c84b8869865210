package relay

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
)

// toldApp is an app that takes whatever it is told.
type toldApp struct {
	*httptest.Server

	mu    sync.Mutex // guards what follows
	lines []string
}

func newToldApp(t *testing.T) *toldApp {
	a := &toldApp{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var is struct {
			Type, ID, Room string
			User           broker.User
			At             int64
			Fence          uint64
		}
		if err := json.Unmarshal(body, &is); err != nil || is.ID == "" || is.ID != r.Header.Get("Webhook-Id") || is.Fence == 0 || is.At == 0 {
			t.Errorf("told %s: %v", body, err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lines = append(a.lines, is.Type+" "+is.User.Name+is.Room)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *toldApp) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.lines)
}

// hears waits until the app was told just this.
func (a *toldApp) hears(t *testing.T, want ...string) {
	t.Helper()
	for end := time.Now().Add(patience); len(a.heard()) < len(want) && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	if got := a.heard(); !slices.Equal(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
}

func tellingTo(a *toldApp) []string {
	return []string{"HOOK_URL=" + a.URL, "HOOK_NETWORK=any", "HOOK_EVENTS=presence", "HOOK_GRACE=300ms", "HOOK_TIMEOUT=30s"}
}

// A user is online with the first connection, and offline some time after the last.
func TestUsersAreTold(t *testing.T) {
	app := newToldApp(t)
	r := overTCP(t, tellingTo(app)...)
	const asha = `{"name":"asha","key":"0123456789abcdef"}`
	first := r.Open()
	first.Connect(asha)
	app.hears(t, "user.online asha")
	second := r.Open()
	second.Connect(asha)
	second.Call("join", `{"room":"lobby"}`)
	app.hears(t, "user.online asha", "room.occupied lobby")
	first.Conn.Close()
	second.Call("leave", `{"room":"lobby"}`)
	app.hears(t, "user.online asha", "room.occupied lobby", "room.vacated lobby")
	second.Conn.Close()
	app.hears(t, "user.online asha", "room.occupied lobby", "room.vacated lobby", "user.offline asha")
}

// Who is invisible, or not let in, is in no room; who is only told of presence is asked nothing.
func TestInvisibleOccupyNoRoom(t *testing.T) {
	app := newToldApp(t)
	r := overTCP(t, append(tellingTo(app), "AUTH_SECRET="+strings.Repeat("s", 32), "AUTH=optional", "GUEST_ROOMS=*:join,invisible")...)
	p := r.guest("asha")
	if ack := p.Call("join", `{"room":"lobby","invisible":true}`); !strings.Contains(ack, `"ok":true`) {
		t.Fatal(ack)
	}
	app.hears(t, "user.online asha")
	ben := r.guest("ben")
	app.hears(t, "user.online asha", "user.online ben")
	ben.Call("join", `{"room":"other"}`)
	app.hears(t, "user.online asha", "user.online ben", "room.occupied other")
}

// A bad setting is named; without presence nothing is told.
func TestToldSettings(t *testing.T) {
	for _, bad := range []string{"HOOK_GRACE=-1s", "HOOK_KEEP=0s", "HOOK_EVENTS=presences", "HOOK_EVENTS=presence,presence"} {
		if _, err := LoadConfig([]string{"HOOK_URL=http://127.0.0.1:1", "HOOK_NETWORK=any", bad}); err == nil || !strings.Contains(err.Error(), strings.Split(bad, "=")[0]) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	c := settings(t, "HOOK_URL=http://127.0.0.1:1", "HOOK_NETWORK=any", "HOOK_EVENTS=connect, presence", "HOOK_KEEP=2h")
	if l := c.Limits().Notices; !l.On || l.Grace != 10*time.Second || l.Keep != 2*time.Hour {
		t.Errorf("%+v", l)
	}
	for _, off := range [][]string{{}, {"HOOK_URL=http://127.0.0.1:1", "HOOK_NETWORK=any"}} {
		if l := settings(t, off...).Limits().Notices; l.On {
			t.Error(fmt.Sprint(off), " has presence told")
		}
	}
}
