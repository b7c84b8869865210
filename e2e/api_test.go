package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/nemesis"
	"setu/e2e/secrets"
	"setu/relay"
	"setu/relay/wiretest"
)

const (
	apiKey    = "a-key-of-the-server-api-of-the-tests-0123"
	apiSecret = "a secret of the tests of 32 bytes or more"
)

// application asks the server API of a fleet.
type application struct {
	t       *testing.T
	relays  []*nemesis.Relay
	history *judge.History
	web     *http.Client
	tries   atomic.Int64
}

// newApplication starts three relays on a Redis.
func newApplication(t *testing.T, env ...string) *application {
	t.Helper()
	cluster.Require(t)
	secrets.Plant("a key of the server API", apiKey)
	a := &application{t: t, history: judge.Record(t, judge.Rules{Kept: kept}), web: &http.Client{Timeout: patience}}
	redis := cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{AppendOnly: true})
	for _, name := range []string{"dublin", "tokyo", "lima"} {
		a.relays = append(a.relays, nemesis.StartRelay(t, name, wiretest.NewLink(t, redis.Address()), append([]string{"API_KEYS=app:" + apiKey + ":publish+read+manage",
			"API_RATE=off", "PRESENCE_LEASE=1s", fmt.Sprint("HISTORY_LIMIT=", kept), "DRAIN_TIMEOUT=3s"}, env...)...))
	}
	t.Cleanup(a.web.CloseIdleConnections)
	return a
}

// ask makes a request of one relay; status is 0 if nobody answers.
func (a *application) ask(ctx context.Context, r *nemesis.Relay, method, path, body string) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(ctx, method, r.URL()+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		a.t.Error(err)
		return 0, nil
	}
	req.Header = http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
	res, err := a.web.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		return 0, nil
	}
	if res.Header.Get("Setu-Relay") != r.Name() {
		a.t.Errorf("%s says that it is %q", r.Name(), res.Header.Get("Setu-Relay"))
	}
	return res.StatusCode, answer
}

// insist makes a request of one relay after the other until it is done.
func (a *application) insist(ctx context.Context, method, path, body string) (status int, answer []byte) {
	for at := rand.IntN(len(a.relays)); ctx.Err() == nil; at++ {
		a.tries.Add(1)
		status, answer = a.ask(ctx, a.relays[at%len(a.relays)], method, path, body)
		if status >= 200 && status < 300 {
			return status, answer
		}
		if status != 0 && status != http.StatusServiceUnavailable {
			a.t.Errorf("%s %s %s: %d %s", method, path, body, status, answer)
			return status, answer
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return 0, nil
}

// speak publishes until stop is closed.
func (a *application) speak(ctx context.Context, name, room string, stop <-chan struct{}) (said int) {
	for {
		a.say(ctx, name, room, said)
		said++
		select {
		case <-stop:
			return said
		case <-time.After(10 * time.Millisecond): // fewer than a room keeps, while somebody is away
		}
	}
}

// say publishes one message twice, writes into the history what that was answered, and returns its id.
func (a *application) say(ctx context.Context, name, room string, n int) (id string) {
	user := "app:" + name
	m := judge.Message{User: user, ID: fmt.Sprint(name, "-", n), Data: fmt.Sprint(n)}
	body := fmt.Sprintf(`{"data":%d,"id":%q,"as":{"id":%q}}`, n, m.ID, user)
	a.history.Add(judge.Event{Client: name, Kind: judge.Publishing, Room: room, Message: m})
	for range 2 {
		_, answer := a.insist(ctx, http.MethodPost, "rooms/"+room+"/messages", body)
		var rc client.Stored
		if err := json.Unmarshal(answer, &rc); err != nil || rc.ID != m.ID {
			a.t.Errorf("%s: %s, %v", m.ID, answer, err)
			return m.ID
		}
		m.Seq, m.Offset = rc.Seq, rc.Offset
		a.history.Add(judge.Event{Client: name, Kind: judge.Stored, Room: room, Message: m, Duplicate: rc.Duplicate})
	}
	return m.ID
}

// kill kills one relay after the other, and starts it again.
func (a *application) kill(rounds int) {
	for i := range rounds {
		r := a.relays[i%len(a.relays)]
		a.history.Note("kill %s", r.Name())
		r.Kill()
		<-time.After(300 * time.Millisecond)
		r.Start()
		for end := time.Now().Add(patience); r.Status() != http.StatusOK && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		}
		<-time.After(700 * time.Millisecond)
	}
}

// While relays are killed, the application goes on over the others: what it publishes is stored once,
// however often it asks, and all members hear it, in one order; what it revokes holds everywhere.
func TestAPIWhileRelaysAreKilled(t *testing.T) {
	t.Parallel()
	a := newApplication(t, "AUTH=optional", "AUTH_SECRET="+apiSecret, "GUEST_ROOMS=*:join,publish,history,members")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var endpoints []string
	for _, r := range a.relays {
		endpoints = append(endpoints, r.WS())
	}
	var people []*client.Client
	for i, name := range []string{"asha", "ben", "cleo"} {
		p := client.Connect(t, client.Options{Name: name, History: a.history, Resume: i == 0, Relays: append(slices.Clone(endpoints[i:]), endpoints[:i]...)})
		p.Join("lobby", client.JoinOptions{History: kept})
		people = append(people, p)
	}
	stop := make(chan struct{})
	var talking sync.WaitGroup
	said := make([]int, 4)
	for i := range said {
		talking.Go(func() { said[i] = a.speak(ctx, fmt.Sprint("api", i), "lobby", stop) })
	}
	var gone []string
	done := map[string]int{}
	var mu sync.Mutex // guards done
	for what, ask := range a.moderation() {
		talking.Go(func() { // it goes on meanwhile
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				ask(ctx, n)
				mu.Lock()
				done[what]++
				mu.Unlock()
			}
		})
	}
	a.kill(6)
	close(stop)
	talking.Wait()
	end := a.say(ctx, "the-end", "lobby", 0)
	for _, p := range people { // who hears the end has heard all before it
		p.AwaitMessage("lobby", end)
	}
	verdict := a.history.Judge()
	t.Logf("%v said, done meanwhile: %v, %d requests: %s", said, done, a.tries.Load(), verdict)
	if len(verdict.Faults) > 0 || slices.Contains(said, 0) {
		t.Error(verdict)
	}
	for what := range a.moderation() {
		if done[what] == 0 {
			t.Errorf("%s was not done", what)
		}
	}
	for n := range done["revoke"] {
		gone = append(gone, fmt.Sprint("gone", n))
	}
	a.expectWrites(gone)
}

// moderation is what goes on while relays are killed, by kind.
func (a *application) moderation() map[string]func(ctx context.Context, n int) {
	post := func(path, body string) func(context.Context, int) {
		return func(ctx context.Context, n int) {
			at := func(text string) string { return strings.ReplaceAll(text, "#", fmt.Sprint(n)) }
			a.insist(ctx, http.MethodPost, at(path), at(body))
		}
	}
	get := func(path string) func(context.Context, int) {
		return func(ctx context.Context, _ int) { a.insist(ctx, http.MethodGet, path, "") }
	}
	return map[string]func(context.Context, int){
		"revoke": post("revocations", `{"user":"gone#"}`), "mute": post("mutes", `{"user":"quiet#","seconds":600}`), "emit": post("users/somebody/emit", `{"event":"hi"}`),
		"leave": post("users/somebody/leave", `{"room":"lobby"}`), "disconnect": post("users/somebody/disconnect", ""),
		"batch":   post("messages", `{"messages":[{"room":"batch","id":"#","data":1},{"room":"batch","id":"#","data":1}]}`),
		"history": get("rooms/lobby/messages?limit=10"), "sessions": get("users/somebody/sessions"), "rooms": get("rooms"), "members": get("rooms/lobby/members"),
	}
}

// expectWrites has every relay do all that can be written to a user who is connected to another.
func (a *application) expectWrites(gone []string) {
	t := a.t
	for i, r := range a.relays {
		other := a.relays[(i+1)%len(a.relays)]
		d := dialerOf(t, other)
		user := fmt.Sprint("user", i)
		p := d.Open()
		p.Connect(`{"token":"` + apiToken(t, user) + `"}`)
		expect := func(status int, path, body string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for {
				got, answer := a.ask(ctx, r, http.MethodPost, path, body)
				if got == http.StatusServiceUnavailable && ctx.Err() == nil && bytes.Contains(answer, []byte("live relays")) {
					continue // until the lease of a relay that was killed has ended
				}
				if got != status {
					t.Errorf("%s: %s %s: %d %s", r.Name(), path, body, got, answer)
				}
				return
			}
		}
		hear := func(prefix string) {
			t.Helper()
			got := p.Packet()
			for strings.HasPrefix(got, `42["message",{"room":"own"`) { // its own
				got = p.Packet()
			}
			if !strings.HasPrefix(got, prefix) {
				t.Errorf("%s: heard %s and not %s", r.Name(), got, prefix)
			}
		}
		expect(202, "users/"+user+"/emit", `{"event":"hi","args":[1]}`)
		hear(`42["hi",1]`)
		expect(204, "users/"+user+"/join", `{"room":"private"}`)
		hear(`42["joined",{"ok":true,"room":"private"`)
		expect(201, "rooms/private/messages", `{"data":"for you"}`)
		hear(`42["message",{"room":"private"`)
		expect(202, "rooms/private/emit", `{"event":"hey","args":[2]}`)
		hear(`42["hey",2]`)
		expect(204, "mutes", fmt.Sprintf(`{"user":%q,"seconds":60}`, user))
		p.Call("join", `{"room":"own"}`)
		if got := p.Call("publish", `{"room":"own","data":1}`); !strings.Contains(got, `"code":"muted"`) {
			t.Errorf("%s: %s", r.Name(), got)
		}
		expect(204, "mutes", fmt.Sprintf(`{"user":%q,"seconds":0}`, user))
		if got := p.Call("publish", `{"room":"own","data":1}`); !strings.Contains(got, `"ok":true`) {
			t.Errorf("%s: %s", r.Name(), got)
		}
		p.Held = nil
		expect(204, "users/"+user+"/leave", `{"room":"private"}`)
		hear(`42["left",{"rooms":["private"]}]`)
		expect(204, "users/"+user+"/disconnect", "")
		hear("41")
		q := d.Open()
		q.Connect(`{"token":"` + apiToken(t, user) + `"}`)
		expect(204, "revocations", fmt.Sprintf(`{"user":%q}`, user))
		if got := q.Packet() + q.Packet(); !strings.Contains(got, `"code":"revoked"`) || !strings.HasSuffix(got, "41") {
			t.Errorf("%s: %s", r.Name(), got)
		}
		for _, user := range gone { // revoked while relays were killed
			s := d.Open()
			s.Packet()
			s.Text(`40{"token":"` + apiToken(t, user) + `"}`)
			if got := s.Packet(); !strings.Contains(got, `"code":"revoked"`) {
				t.Errorf("%s lets %s in: %s", other.Name(), user, got)
			}
		}
	}
}

func dialerOf(t *testing.T, r *nemesis.Relay) *wiretest.Dialer {
	return &wiretest.Dialer{T: t, New: func() net.Conn {
		c, err := net.DialTimeout("tcp", r.Address(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}}
}

func apiToken(t *testing.T, user string) string {
	t.Helper()
	cfg, err := relay.LoadConfig([]string{"AUTH_SECRET=" + apiSecret})
	if err != nil {
		t.Fatal(err)
	}
	return (&guarded{t: t, auth: cfg.Auth()}).token(user)
}
