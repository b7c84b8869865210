package relay

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A session that ended between two GETs tells the next one so, once, for a second.
func TestLateGET(t *testing.T) {
	tests := []struct {
		name string
		end  func(t *testing.T, r *rig, p *polls)
		want string
	}{
		{"after a goodbye", func(_ *testing.T, _ *rig, p *polls) { p.say("1") }, "6"},
		{"after a goodbye behind a message", func(_ *testing.T, _ *rig, p *polls) { p.say("4x", "1", "4y") }, "4x\x1e6"},
		{"after a drain", func(_ *testing.T, r *rig, p *polls) {
			go func() { _, _ = r.srv.Engine.Shutdown(context.Background()) }()
			synctest.Wait()
		}, "6"},
		{"after no CONNECT", func(t *testing.T, r *rig, _ *polls) { r.only().close(closeGone, "no CONNECT in time", false) }, "6"},
	}
	for _, tt := range tests {
		for _, late := range []time.Duration{0, lateGet - time.Millisecond, lateGet + time.Millisecond} {
			t.Run(fmt.Sprint(tt.name, " ", late), func(t *testing.T) {
				engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					p := r.polls()
					h := r.only().handler.(*tape)
					tt.end(t, r, p)
					<-time.After(late)
					p.post("4z").is(t, 400, unknownSID)
					if late < lateGet {
						p.get().is(t, 200, tt.want)
						synctest.Wait()
					}
					p.get().is(t, 400, unknownSID)
					synctest.Wait()
					if n := r.srv.count(); n != 0 || h.stops != 1 || h.closes != 1 {
						t.Errorf("%d sessions are left; stopped %d times, closed %d times", n, h.stops, h.closes)
					}
				})
			})
		}
	}
}

// A GET that waits when the session ends is told at once, and the next finds nothing.
func TestEndWhileAGETWaits(t *testing.T) {
	tests := map[string]struct {
		end  func(r *rig, p *polls)
		want string
	}{
		"goodbye": {func(_ *rig, p *polls) { p.say("1") }, "6"},
		"drain": {func(r *rig, _ *polls) {
			_, _ = r.srv.Engine.Shutdown(context.Background())
		}, "6"},
		"too slow":    {func(r *rig, _ *polls) { r.only().close(closeSlow, "too slow", true) }, "6"},
		"no pong yet": {func(r *rig, _ *polls) { r.only().close(closeGone, "no pong in time", true) }, "6"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.polls()
				start := time.Now()
				waits := p.waiting()
				tt.end(r, p)
				(<-waits).is(t, 200, tt.want)
				synctest.Wait()
				p.get().is(t, 400, unknownSID)
				if n := r.srv.count(); n != 0 || time.Since(start) > 0 {
					t.Errorf("%d sessions are left after %s", n, time.Since(start))
				}
			})
		})
	}
}

func TestHeartbeatOverPolling(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		last := time.Now()
		for range 3 {
			p.get().is(t, 200, "2")
			if got := time.Since(last); got != 25*time.Second {
				t.Fatalf("a ping after %s", got)
			}
			last = time.Now()
			p.say("3")
		}
		<-time.After(30 * time.Second) // nobody polls: the ping waits for who does
		p.get().is(t, 200, "2")
		last = time.Now()
		for range 14 { // data is no pong
			p.say("4x")
			p.get().is(t, 200, "4x")
			<-time.After(time.Second)
		}
		waits := p.waiting()
		(<-waits).is(t, 200, "6")
		if got := time.Since(last); got != 15*time.Second { // 20 since the ping
			t.Errorf("ended %s after the ping was fetched", got)
		}
		p.get().is(t, 400, unknownSID)
	})
}

// Who never polls is gone in time, and holds no more than his outbox meanwhile.
func TestPollerWhoNeverGETs(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		start := time.Now()
		<-time.After(45*time.Second - time.Millisecond)
		if r.srv.count() != 1 {
			t.Error("ended early")
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
		if n := r.srv.count(); n != 0 {
			t.Errorf("%d sessions are left after %s", n, time.Since(start))
		}
		p.get().is(t, 400, unknownSID)
	})
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		s := r.only()
		for n := 0; ; n++ {
			got := p.post("4" + strings.Repeat("x", 999))
			s.out.mu.Lock()
			bytes := s.out.bytes
			s.out.mu.Unlock()
			if bytes > 65536 || n > 100 {
				t.Fatalf("%d bytes wait after %d messages", bytes, n)
			}
			if s.isEnded() {
				break
			}
			got.is(t, 200, "ok")
		}
		synctest.Wait()
		if s.code != closeSlow || r.srv.count() != 0 {
			t.Errorf("ended with %d; %d sessions are left", s.code, r.srv.count())
		}
		p.get().is(t, 400, unknownSID)
	}, "OUTBOX_BYTES=65536")
}

// What a poll took waits for the next one to show that it has arrived, and counts until then.
func TestTakenCountsUntilTheNextGET(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		s := r.only()
		for range 50 { // far more than an outbox holds, in all
			for range 30 {
				p.say("4" + strings.Repeat("x", 1999))
			}
			if got := p.get(); len(got.body) != 30*2001-1 {
				t.Fatal(got.status, len(got.body))
			}
			s.out.mu.Lock()
			bytes := s.out.bytes
			s.out.mu.Unlock()
			if bytes < 60_000 {
				t.Fatal("counts ", bytes)
			}
			p.say("4end")
			p.get().is(t, 200, "4end")
		}
	}, "OUTBOX_BYTES=65536")
}

// A poller who is too slow for his room is sent away, alone.
func TestSlowPoller(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		slow := r.pollingMember("slow", "room")
		fast := r.member("fast", "room")
		data := strings.Repeat("x", 5000)
		for i := range 30 {
			fast.call("publish", fmt.Sprintf(`{"room":"room","data":"%d%s"}`, i, data))
			fast.packet()
		}
		slow.get().is(t, 400, unknownSID)
		if !r.log.has("too slow") {
			t.Error("no log line")
		}
		if ack := fast.call("members", `{"room":"room"}`); field(t, ack, "count") != "1" {
			t.Error(ack)
		}
	}, "OUTBOX_BYTES=65536")
}

// A drain tells whoever waits at once, and gives the others a second to ask.
func TestDrainOfPollers(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		waits := r.polls().waiting()
		later, never := r.polls(), r.polls()
		upgrading := r.polls()
		k := upgrading.probe(r)
		start := time.Now()
		over := make(chan time.Duration)
		go func() {
			_, _ = r.srv.Engine.Shutdown(context.Background())
			over <- time.Since(start)
		}()
		(<-waits).is(t, 200, "6")
		<-time.After(lateGet / 2)
		later.get().is(t, 200, "6")
		upgrading.get().is(t, 200, "6")
		k.eof()
		fresh := &polls{t: t, web: r.client(t)}
		if got := fresh.get(); got.status != http.StatusServiceUnavailable || got.header.Get("Cache-Control") != "no-store" {
			t.Error(got)
		}
		if took := <-over; took < lateGet || took > lateGet+4*spread {
			t.Errorf("the drain took %s", took)
		}
		never.get().is(t, 400, unknownSID)
	})
}

// A drain whose time is up waits for no poller.
func TestHurriedDrainOfPollers(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		for range 5 {
			r.polls()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := r.srv.Engine.Shutdown(ctx)
		if took := time.Since(start); err != context.DeadlineExceeded || took != 500*time.Millisecond {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestMaxConnectionsCountsPollers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.polls()
		r.guest("b")
		full := &polls{t: t, web: r.client(t)}
		full.get().is(t, 503, "this relay is full\n")
		a.say("1")
		a.get().is(t, 200, "6")
		synctest.Wait()
		r.polls()
	}, "MAX_CONNECTIONS=2")
}

// A page of another site gets to read an answer where it was allowed to ask, and only there.
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
				p := r.polls() // an agent of no browser's
				headers := []string{}
				if tt.origin != "" {
					headers = append(headers, "Origin", tt.origin)
				}
				ask := append([]string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-token, content-type"}, headers...)
				stranger := &polls{t: t, web: p.web}
				p.say("40")
				got := map[string]reply{
					"handshake": stranger.send(t.Context(), "GET", "", nil, headers...),
					"GET":       p.send(t.Context(), "GET", "", nil, headers...),
					"POST":      p.post("3", headers...),
					"refusal":   stranger.send(t.Context(), "GET", "&sid=x", nil, headers...),
					"preflight": stranger.send(t.Context(), "OPTIONS", "", nil, ask...),
				}
				for name, g := range got {
					status := tt.status
					switch {
					case status == 403:
					case name == "refusal":
						status = 400
					case name == "preflight":
						status = 204
						if m, h := g.header.Get("Access-Control-Allow-Methods"), g.header.Get("Access-Control-Allow-Headers"); m != "GET, POST" || h != "x-token, content-type" {
							t.Errorf("preflight: methods %q, headers %q", m, h)
						}
					}
					if g.status != status || status == 403 && errorOf(t, g.body) != 4 {
						t.Errorf("%s: %d %q %v", name, g.status, g.body, g.err)
					}
					allow, creds := g.header.Get("Access-Control-Allow-Origin"), g.header.Get("Access-Control-Allow-Credentials")
					if vary := g.header.Get("Vary") == "Origin"; allow != tt.allow || creds != tt.creds || vary != tt.vary {
						t.Errorf("%s: allows %q, credentials %q, varies: %v", name, allow, creds, vary)
					}
				}
				if tt.status == 403 && r.srv.count() != 1 {
					t.Errorf("%d sessions", r.srv.count())
				}
			}, "ALLOWED_ORIGINS="+tt.allowed)
		})
	}
}
