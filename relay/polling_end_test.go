package relay

import (
	"fmt"
	"setu/relay/wiretest"
	"strings"
	"testing"
	"testing/synctest"
)

// A client that polls too slowly for its room is closed, alone.
func TestSlowPoller(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		slow := r.pollingMember("slow", "room")
		fast := r.member("fast", "room")
		data := strings.Repeat("x", 5000)
		for i := range 30 {
			fast.Call("publish", fmt.Sprintf(`{"room":"room","data":"%d%s"}`, i, data))
			fast.Packet()
		}
		slow.Get().Is(t, 400, wiretest.UnknownSID)
		synctest.Wait()
		if !r.log.Has("too slow") {
			t.Error("no log line")
		}
		if ack := fast.Call("members", `{"room":"room"}`); wiretest.Field(t, ack, "count") != "1" {
			t.Error(ack)
		}
	}, "OUTBOX_BYTES=65536")
}

func TestMaxConnectionsCountsPollers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.Poll()
		r.guest("b")
		full := &wiretest.Poller{T: t, Web: r.Client(t)}
		full.Get().Is(t, 503, "this relay is full\n")
		a.Say("1")
		a.Get().Is(t, 200, "6")
		synctest.Wait()
		r.Poll()
	}, "MAX_CONNECTIONS=2")
}

// A page of another site may read an answer if its origin is allowed, and only then.
func TestCORS(t *testing.T) {
	const here, friend, evil = "http://relay", "https://friend.example", "https://evil.example"
	tests := []struct {
		allowed, origin string
		status          int
		allow, creds    string
		vary            bool
	}{
		{"", "", 200, "", "", false},
		{"", here, 200, here, "true", false},
		{"", evil, 403, "", "", false},
		{"", "null", 403, "", "", false},
		{friend, "", 200, "", "", true},
		{friend, here, 200, here, "true", true},
		{friend, friend, 200, friend, "true", true},
		{friend, evil, 403, "", "", false},
		{friend, friend + ".evil.example", 403, "", "", false},
		{friend, "http://friend.example", 403, "", "", false},
		{"*", "", 200, "", "", true},
		{"*", evil, 200, "*", "", true},
		{"*", "null", 200, "*", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.allowed+" "+tt.origin, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.Poll() // no browser: it sends no origin
				headers := []string{}
				if tt.origin != "" {
					headers = append(headers, "Origin", tt.origin)
				}
				ask := append([]string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-token, content-type"}, headers...)
				stranger := &wiretest.Poller{T: t, Web: p.Web}
				p.Say("40")
				got := map[string]wiretest.Reply{
					"handshake": stranger.Send(t.Context(), "GET", "", nil, headers...),
					"GET":       p.Send(t.Context(), "GET", "", nil, headers...),
					"POST":      p.Post("3", headers...),
					"refusal":   stranger.Send(t.Context(), "GET", "&sid=x", nil, headers...),
					"preflight": stranger.Send(t.Context(), "OPTIONS", "", nil, ask...),
				}
				for name, g := range got {
					status := tt.status
					switch {
					case status == 403:
					case name == "refusal":
						status = 400
					case name == "preflight":
						status = 204
						if m, h := g.Header.Get("Access-Control-Allow-Methods"), g.Header.Get("Access-Control-Allow-Headers"); m != "GET, POST" || h != "x-token, content-type" {
							t.Errorf("preflight: methods %q, headers %q", m, h)
						}
					}
					if g.Status != status || status == 403 && wiretest.ErrorOf(t, g.Body) != 4 {
						t.Errorf("%s: %d %q %v", name, g.Status, g.Body, g.Err)
					}
					allow, creds := g.Header.Get("Access-Control-Allow-Origin"), g.Header.Get("Access-Control-Allow-Credentials")
					if vary := g.Header.Get("Vary") == "Origin"; allow != tt.allow || creds != tt.creds || vary != tt.vary {
						t.Errorf("%s: allows %q, credentials %q, varies: %v", name, allow, creds, vary)
					}
				}
				if tt.status == 403 && r.srv.engine.Count() != 1 {
					t.Errorf("%d sessions", r.srv.engine.Count())
				}
			}, "ALLOWED_ORIGINS="+tt.allowed)
		})
	}
}
