package dev

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"setu/relay/wiretest"
)

const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"

// Without rules and app, what a client emits all hear, and each hook is shown.
func TestWithoutApp(t *testing.T) {
	r := start(t, "")
	ann, ben := r.Open(), r.Open()
	ann.Connect(`{"name":"ann"}`)
	ben.Connect(`{"name":"ben"}`)
	if ack := ann.Call("chat message", `"hi"`); wiretest.Field(t, ack, "ok") != "true" {
		t.Error(ack)
	}
	if heard := ben.Packet(); !strings.HasPrefix(heard, `42["chat message","hi","`) {
		t.Error(heard)
	}
	r.printed(`connect {"name":"ann"}, `)
	r.printed(`publish "lobby" {"id":`)
	r.printed(`"event":"chat message","args":["hi"]}, ann → not asked: allowed`)
}

// Rules answer: who connects, what is acknowledged, who is refused. What the relay makes of it is as with any
// app.
func TestRulesAnswer(t *testing.T) {
	r := start(t, `{"connect": {"user": {"id": "$auth.id"}, "rooms": ["den"]},
		"event": {"save": {"ack": ["ok", "$args.0"], "emit": [{"room": "den", "event": "saved", "args": ["$user.id"], "self": false}]}, "ban*": {"refuse": {"code": "banned"}}},
		"join": {"secret": {"refuse": {"code": "no", "message": "not you"}}}}`)
	ann, ben := r.Open(), r.Open()
	if w, _ := ann.Connect(`{"id":"ann","token":"","key":"s3cr3t-s3cr3t-s3cr3t"}`); w.User.ID != "ann" {
		t.Errorf("%+v", w)
	}
	ben.Connect(`{"id":"ben"}`)
	ben.Packet() // joined, without which he hears nothing of the room
	if ack := ann.Call("save", `{"n":1.10}`); ack != `"ok",{"n":1.10}` {
		t.Error(ack)
	}
	if heard := ben.Packet(); !strings.HasPrefix(heard, `42["saved","ann"`) {
		t.Error(heard)
	}
	if ack := ann.Call("ban me", "1"); ack != `{"ok":false,"error":{"code":"banned","message":"banned"}}` {
		t.Error(ack)
	}
	if ack := ann.Call("join", `{"room":"secret"}`); wiretest.Field(t, ack, "error") != `{"code":"no","message":"not you"}` {
		t.Error(ack)
	}
	if ack := ann.Call("other", "1"); ack != "" { // an app that says nothing
		t.Error(ack)
	}
	r.printed(`event "save" [{"n":1.10}], ann → rule "save": {"ack":["ok",{"n":1.10}]`)
	r.printed(`event "ban me" [1], ann → rule "ban*": 403 {"code":"banned"}`)
	r.printed(`event "other" [1], ann → not asked: allowed`)
	if strings.Contains(r.out.String(), "s3cr3t") {
		t.Error("a secret is printed: ", r.out)
	}
}

// backEnd is an app at HOOK_URL, which answers events with what they brought.
type backEnd struct {
	*httptest.Server
	mu    sync.Mutex
	kinds []string
}

func newBackEnd(t *testing.T) *backEnd {
	verify, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	b := &backEnd{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct {
			Type, Event string
			Args        json.RawMessage
		}
		if err := json.Unmarshal(body, &q); err != nil || verify.Verify(body, r.Header) != nil || r.URL.RequestURI() != "/hook?key=1" {
			t.Errorf("%s %s %v: %v", body, r.URL, r.Header, err)
		}
		b.mu.Lock()
		b.kinds = append(b.kinds, q.Type)
		b.mu.Unlock()
		switch q.Event {
		case "echo":
			_, _ = io.WriteString(w, `{"ack":`+string(q.Args)+`}`)
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// With HOOK_URL the app is asked what HOOK_EVENTS has, signed by HOOK_SECRET, unless a rule answers; what
// else happens is shown, and costs it nothing.
func TestForward(t *testing.T) {
	app := newBackEnd(t)
	environ := []string{"HOOK_URL=" + app.URL + "/hook?key=1", "HOOK_SECRET=" + secret, "HOOK_EVENTS=connect, event"}
	r := start(t, `{"event": {"mine": {"ack": ["rule"]}}}`, environ...)
	p := r.Open()
	p.Connect(`{"name":"ann"}`)
	for call, want := range map[string]string{"echo": `"x"`, "mine": `"rule"`, "fail": `{"ok":false,"error":{"code":"unavailable"`} {
		if got := p.Call(call, `"x"`); !strings.HasPrefix(got, want) {
			t.Error(call, got)
		}
	}
	p.Call("join", `{"room":"a"}`)
	p.Call("publish", `{"room":"a","data":1}`)
	app.mu.Lock()
	if !slices.Equal(app.kinds, []string{"connect", "event", "event"}) {
		t.Error("asked ", app.kinds)
	}
	app.mu.Unlock()
	r.printed(`event "echo" ["x"], ann → app: {"ack":["x"]} (`)
	r.printed(`event "fail" ["x"], ann → app: 500 `)
	r.printed(`join "a", ann → not asked: allowed`)
	r.printed(`publish "a" {"id":`)
	app.Close()
	if got := p.Call("echo", `"x"`); !strings.Contains(got, `"unavailable"`) {
		t.Error(got)
	}
	r.printed(`event "echo" ["x"], ann → app: no answer: dial tcp`)
}

// HOOK_NETWORK holds for the app here, too.
func TestForwardToTheInternetAlone(t *testing.T) {
	app := newBackEnd(t)
	for network, ok := range map[string]bool{"public": false, "any": true} {
		d, err := New(nil, []string{"HOOK_URL=http://app.example/", "HOOK_SECRET=" + secret, "HOOK_NETWORK=" + network}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(`{"type":"event"}`)
		req, _ := http.NewRequest("POST", app.URL+"/hook?key=1", bytes.NewReader(body)) // a name may come to mean this
		sign, _ := webhooks.NewWebhook(secret)
		now := time.Now()
		signature, _ := sign.Sign("1", now, body)
		req.Header = http.Header{"Webhook-Id": {"1"}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {signature}}
		res, err := d.Config.HookTransport.RoundTrip(req)
		if (err == nil) != ok {
			t.Error(network, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
		d.Close()
	}
	if _, err := New(nil, []string{"HOOK_URL=http://127.0.0.1/", "HOOK_NETWORK=public"}, io.Discard); err == nil || !strings.Contains(err.Error(), "HOOK_NETWORK=any") {
		t.Error(err)
	}
}

// An app that takes too long is given up as ever, and that is shown.
func TestForwardTimesOut(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice who is gone
		<-r.Context().Done()
	}))
	defer slow.Close()
	r := start(t, "", "HOOK_URL="+slow.URL, "HOOK_EVENTS=event", "HOOK_TIMEOUT=2s")
	p := r.Open()
	p.Connect("")
	if got := p.Call("echo", "1"); !strings.Contains(got, `"unavailable"`) {
		t.Error(got)
	}
	r.printed("→ app: no answer: context deadline exceeded (")
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		rules   bool
		want    []string
		not     []string
		ignored []string
	}{
		"nothing": {nil, false, []string{"HOST=127.0.0.1", "LOBBY=lobby", "LOBBY_EVENTS=*", "HOOK_EVENTS=connect,event,join,publish,presence", "HOOK_URL=http://localhost/"}, nil, nil},
		"rules":   {nil, true, []string{"HOOK_EVENTS=connect,event,join,publish,presence"}, []string{"LOBBY_EVENTS=*"}, nil},
		"an app": {[]string{"HOOK_URL=http://localhost:3000/", "HOOK_EVENTS=publish"}, false,
			[]string{"HOOK_URL=http://localhost:3000/", "HOOK_EVENTS=publish,connect,join,presence", "HOOK_NETWORK=any"}, []string{"LOBBY_EVENTS=*"}, nil},
		"an app, and rules": {[]string{"HOOK_URL=http://localhost:3000/", "HOOK_EVENTS=publish"}, true, []string{"HOOK_EVENTS=publish,connect,event,join,presence"}, nil, nil},
		"settings":          {[]string{"HOST=::1", "LOBBY=hall", "LOBBY_EVENTS=a", "HOOK_GRACE=3s"}, false, []string{"HOST=::1", "LOBBY=hall", "LOBBY_EVENTS=a", "HOOK_GRACE=3s"}, nil, nil},
		"a Redis": {[]string{"REDIS_URL=redis://x", "REDIS_PREFIX=p"}, false, nil, []string{"REDIS_URL=redis://x", "REDIS_PREFIX=p"},
			[]string{"REDIS_URL", "REDIS_PREFIX"}},
	} {
		p := planOf(c.environ, c.rules)
		for _, s := range c.want {
			if !slices.Contains(p.settings, s) {
				t.Errorf("%s: no %s in %s", name, s, p.settings)
			}
		}
		for _, s := range c.not {
			if slices.Contains(p.settings, s) {
				t.Errorf("%s: %s", name, s)
			}
		}
		if !slices.Equal(p.ignored, c.ignored) {
			t.Errorf("%s: ignored %s", name, p.ignored)
		}
	}
}

func TestArguments(t *testing.T) {
	for args, why := range map[string]string{"--rule x": "dev: flag provided but not defined", "rules.json": `dev: "rules.json" is no flag`, "--rules /nowhere/x": "dev: --rules: "} {
		if _, err := New(strings.Fields(args), nil, io.Discard); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", args, err)
		}
	}
	for setting, why := range map[string]string{"PORT=x": "PORT is", "HOOK_EVENTS=connect,evnt": "HOOK_EVENTS is"} {
		if _, err := New(nil, []string{setting, "HOOK_URL=http://localhost:1/"}, io.Discard); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	var out strings.Builder
	if _, err := New([]string{"-h"}, nil, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-rules file") {
		t.Error(&out, err)
	}
}

// The greeting says what is done, and warns if others can look on.
func TestGreet(t *testing.T) {
	for setting, want := range map[string]string{"HOST=0.0.0.0": "WARNING: HOST is 0.0.0.0", "HOOK_URL=http://localhost:3000/": "the app at HOOK_URL: connect,event",
		"REDIS_URL=redis://x": "REDIS_URL: not used", "X=": "what a client emits, all of them hear", "LOBBY=hall": `in the room "hall"`} {
		var out strings.Builder
		d, err := New(nil, []string{setting}, &out)
		if err != nil {
			t.Fatal(err)
		}
		d.Greet("http://127.0.0.1:8080")
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "http://127.0.0.1:8080/_dev\n") || strings.Contains(out.String(), "WARNING") != (setting == "HOST=0.0.0.0") {
			t.Errorf("%s: %s", setting, &out)
		}
	}
}
