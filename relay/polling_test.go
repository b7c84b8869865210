package relay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
)

func TestPollingHandshake(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := &polls{t: t, web: r.client(t)}
		got := p.send(t.Context(), "GET", "&t=abc123&b64=1", nil)
		h, err := engineio.ParseHandshake([]byte(strings.TrimPrefix(got.body, "0")))
		if got.status != 200 || err != nil || h.PingInterval != 25000 || h.PingTimeout != 20000 || h.MaxPayload != 1000000 {
			t.Errorf("%d %s: %v", got.status, got.body, err)
		}
		if !strings.HasPrefix(got.body, `0{"sid":"`) || !strings.Contains(got.body, `"upgrades":["websocket"]`) || len(h.SID) < 20 {
			t.Error(got.body)
		}
		if kind, cache := got.header.Get("Content-Type"), got.header.Get("Cache-Control"); kind != "text/plain; charset=UTF-8" || cache != "no-store" {
			t.Errorf("Content-Type %q, Cache-Control %q", kind, cache)
		}
		if other := r.polls(); other.sid == h.SID {
			t.Error("one id for two sessions")
		}
		p.sid = h.SID
		p.say("40")
		if got := p.get(); got.header.Get("Content-Type") != "text/plain; charset=UTF-8" || got.header.Get("Cache-Control") != "no-store" ||
			got.header.Get("Content-Length") != fmt.Sprint(len(got.body)) || strings.Contains(got.body, h.SID) {
			t.Errorf("%v %s", got.header, got.body)
		}
		if got := p.post("3"); got.header.Get("Content-Type") != "text/html" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v %s", got.header, got.body)
		}
	})
}

// What comes in one body goes out in one body, in its order, text and binary.
func TestPollingBatches(t *testing.T) {
	for _, body := range []string{"4hello", "4", "4a\x1e4b\x1e4c", "bAQIDBA==", "4hello\x1ebAQIDBA==\x1e4\x1eb\x1e4é😀", "4\"\n\\\x00", "b//79",
		strings.Repeat("4x\x1e", 5000) + "4end", "4" + strings.Repeat("long", 100_000)} {
		engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.polls()
			p.post(body).is(t, 200, "ok")
			p.get().is(t, 200, body)
			answer := p.waiting()
			p.post(body)
			first := <-answer // what was there when it looked; the rest comes with the next
			rest := first.body
			for len(rest) < len(body) {
				rest += "\x1e" + p.get().body
			}
			if first.status != 200 || rest != body {
				t.Errorf("%.100q came as %d %.100q", body, first.status, rest)
			}
		})
	}
}

// A body is refused as a whole packet is: the session ends, and what came before the bad packet was taken.
func TestPollingBadBodies(t *testing.T) {
	tests := []struct {
		name, body string
		header     []string
		heard      int
	}{
		{"no packet", "", nil, 0},
		{"an unknown type", "abc", nil, 0},
		{"a packet that is empty", "4one\x1e\x1e4two", nil, 1},
		{"a separator at the end", "4one\x1e", nil, 1},
		{"separators alone", strings.Repeat("\x1e", 2000), nil, 0},
		{"base64 that is none", "4one\x1eb!!!!", nil, 1},
		{"base64 without its padding", "bAQIDBA", nil, 0},
		{"base64 with bits left over", "bAQIDBB==", nil, 0},
		{"a ping", "4one\x1e2\x1e4two", nil, 1},
		{"an open", "0{}", nil, 0},
		{"an upgrade", "5", nil, 0},
		{"a probe", "2probe", nil, 0},
		{"a noop", "6", nil, 0},
		{"bytes", "4one", []string{"Content-Type", "application/octet-stream"}, 0},
	}
	for _, tt := range tests {
		for _, gets := range []bool{true, false} {
			t.Run(fmt.Sprint(tt.name, ", a GET waits: ", gets), func(t *testing.T) {
				engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					p, other := r.polls(), r.polls()
					h := r.srv.session(p.sid).handler.(*tape)
					var waits <-chan reply
					if gets {
						waits = p.waiting()
					}
					p.post(tt.body, tt.header...).is(t, 400, refusal)
					if gets {
						if got := <-waits; got.status != 200 || !strings.HasSuffix("\x1e"+got.body, "\x1e1") && got.body != "4one" {
							t.Errorf("the GET got %d %q", got.status, got.body)
						}
					}
					synctest.Wait()
					if !gets {
						p.get().is(t, 400, unknownSID)
					}
					if len(h.heard) != tt.heard || h.stops != 1 || h.closes != 1 && !gets {
						t.Errorf("heard %q, stopped %d times, closed %d times", h.heard, h.stops, h.closes)
					}
					other.say("4unharmed")
					other.get().is(t, 200, "4unharmed")
				})
			})
		}
	}
}

func TestPollingMethods(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			p.send(t.Context(), method, "", nil).is(t, 400, refusal)
		}
		if got := p.send(t.Context(), "HEAD", "", nil); got.status != 400 {
			t.Error(got.status)
		}
		p.say("4unharmed")
		p.get().is(t, 200, "4unharmed")
	})
}

// A sid belongs to the transport by which its session goes.
func TestSIDOfTheOtherDoor(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		k := r.open()
		h, err := engineio.ParseHandshake([]byte(k.packet()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		p := &polls{t: t, web: r.client(t), sid: h.SID}
		p.get().is(t, 400, refusal)
		p.post("4x").is(t, 400, refusal)
		second := upgradeTo(t, r.dial(), h.SID)
		if code, _ := second.closed(); code != closeProtocol {
			t.Error(code)
		}
		second.eof()
		k.text("4unharmed")
		k.expect("4unharmed")

		q := r.polls()
		if status, body := r.get("GET", Path+"?EIO=4&transport=websocket&sid="+q.sid, nil); status != 400 || body != refusal {
			t.Error("no upgrade asked for: ", status, body)
		}
		if status, body := r.get("POST", Path+"?EIO=4&transport=websocket&sid="+q.sid, nil); status != 400 || errorOf(t, body) != 2 {
			t.Error(status, body)
		}
		q.say("4unharmed")
		q.get().is(t, 200, "4unharmed")
	})
}

func TestTwoGETs(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		first := p.waiting()
		p.get().is(t, 400, refusal)
		(<-first).is(t, 200, "1")
		synctest.Wait()
		p.get().is(t, 400, unknownSID)
		if n := r.srv.count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestTwoPOSTs(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		h := r.only().handler.(*tape)
		in, out := io.Pipe()
		first := later(func() reply { return p.send(context.Background(), "POST", "", in) })
		_, _ = out.Write([]byte("4fir"))
		synctest.Wait()
		waits := p.waiting()
		p.post("4second").is(t, 400, refusal)
		(<-waits).is(t, 200, "1")
		_, _ = out.Write([]byte("st"))
		_ = out.Close()
		<-first
		synctest.Wait()
		p.get().is(t, 400, unknownSID)
		if n := r.srv.count(); n != 0 || len(h.heard) > 0 {
			t.Errorf("%d sessions are left; heard %q", n, h.heard)
		}
	})
}

// A client may have a GET's answer, and send the next one by another connection, before the relay knows that it is through.
func TestNextGETBeforeTheLastIsThrough(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		s := r.only()
		p.say("4one")
		var next <-chan reply
		w := &eager{header: http.Header{}, flushed: func() {
			next = later(p.get)
			synctest.Wait()
		}}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://relay"+Path+"?EIO=4&transport=polling&sid="+p.sid, nil)
		r.srv.Engine.ServeHTTP(w, req)
		p.say("4two")
		(<-next).is(t, 200, "4two")
		if w.body != "4one" || s.isEnded() {
			t.Errorf("%q, ended: %v", w.body, s.isEnded())
		}
	})
}

// eager is a client that does something as soon as it has an answer.
type eager struct {
	header  http.Header
	body    string
	flushed func()
}

func (w *eager) Header() http.Header              { return w.header }
func (w *eager) WriteHeader(int)                  {}
func (w *eager) Write(p []byte) (int, error)      { w.body += string(p); return len(p), nil }
func (w *eager) SetWriteDeadline(time.Time) error { return nil }
func (w *eager) Flush()                           { w.flushed() }

func TestAbortedGET(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		s := r.only()
		ctx, cancel := context.WithCancel(t.Context())
		got := later(func() reply { return p.send(ctx, "GET", "", nil) })
		synctest.Wait()
		cancel()
		<-got
		synctest.Wait()
		if n := r.srv.count(); n != 0 || s.code != closeGone {
			t.Errorf("%d sessions are left; ended with %d", n, s.code)
		}
		p.get().is(t, 400, unknownSID)
	})
}

func TestAbortedPOST(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		h := r.only().handler.(*tape)
		waits := p.waiting()
		c := r.dial()
		_, _ = fmt.Fprintf(c, "POST %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\nContent-Length: 20\r\n\r\n4half a mess", Path, p.sid)
		synctest.Wait()
		_ = c.Close()
		(<-waits).is(t, 200, "6")
		synctest.Wait()
		if n := r.srv.count(); n != 0 || len(h.heard) > 0 {
			t.Errorf("%d sessions are left; heard %q", n, h.heard)
		}
	})
}

// The handshake's answer may be let go of, too.
func TestAbortedHandshake(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		c := r.dial()
		_, _ = io.WriteString(c, "GET "+Path+"?EIO=4&transport=polling HTTP/1.1\r\nHost: relay\r\n\r\n")
		synctest.Wait()
		if n := r.srv.count(); n != 1 {
			t.Fatal(n)
		}
		_ = c.Close()
		synctest.Wait()
		if n := r.srv.count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestPostOverTheLimit(t *testing.T) {
	for _, gets := range []bool{true, false} {
		for _, chunked := range []bool{true, false} {
			engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p, other := r.polls(), r.polls()
				p.post("4"+strings.Repeat("x", 1999)).is(t, 200, "ok") // just fits
				p.get()
				var waits <-chan reply
				if gets {
					waits = p.waiting()
				}
				body := io.Reader(strings.NewReader("4" + strings.Repeat("x", 2000)))
				if chunked {
					body = io.MultiReader(body) // of no known length
				}
				p.send(t.Context(), "POST", "", body).is(t, 413, "Request Entity Too Large\n")
				if gets {
					(<-waits).is(t, 200, "6")
				}
				synctest.Wait()
				if !r.log.has("MAX_PAYLOAD") || r.srv.count() != 1 {
					t.Errorf("a log line: %v, %d sessions are left", r.log.has("MAX_PAYLOAD"), r.srv.count())
				}
				p.get().is(t, 400, unknownSID)
				other.say("4unharmed")
			}, "MAX_PAYLOAD=2000")
		}
	}
}

// A whole chat by polling, beside one who goes by WebSocket.
func TestChatByPolling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.pollingMember("a", "room"), r.member("b", "room")
		ack := a.call("publish", `{"room":"room","id":"m1","data":"é"}`)
		if field(t, ack, "ok")+field(t, ack, "seq") != "true1" {
			t.Error(ack)
		}
		mine, theirs := a.packet(), b.packet()
		if mine != theirs || !strings.HasPrefix(mine, `42["message",{"room":"room","seq":1,"id":"m1",`) {
			t.Error(mine, theirs)
		}
		waits := a.waiting()
		b.text(`42["signal",{"room":"room","data":"typing"}]`)
		if got := <-waits; !strings.HasPrefix(got.body, `42["signal",{"room":"room","from":`) {
			t.Error(got.body)
		}
		a.say(`421["leave",{"room":"room"}]`, `422["members",{"room":"room"}]`, `42["publish",{"room":"room","data":1}]`)
		if got := a.packet(); got != `431[{"ok":true}]` {
			t.Error(got)
		}
		if got := a.packet(); !strings.HasPrefix(got, `432[{"ok":true,"count":1,`) {
			t.Error(got)
		}
		if got := a.packet(); !strings.HasPrefix(got, `42["error_event",{"ok":false,"error":{"code":"not_joined"`) {
			t.Error(got)
		}
		a.say("41")
		a.say("40")
		if s := a.packet(); !strings.HasPrefix(s, `40{"sid":"`) {
			t.Error(s)
		}
	})
}
