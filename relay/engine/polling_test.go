package engine

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
	"setu/relay/wiretest"
)

// What comes in one body goes out in its order, text and binary, in one body if it is not too much.
func TestPollingBatches(t *testing.T) {
	for _, body := range []string{"4hello", "4", "4a\x1e4b\x1e4c", "bAQIDBA==", "4hello\x1ebAQIDBA==\x1e4\x1eb\x1e4é😀", "4\"\n\\\x00", "b//79",
		strings.Repeat("4x\x1e", 5000) + "4end", "4" + strings.Repeat("long", 100_000)} {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.Poll()
			p.Post(body).Is(t, 200, "ok")
			whole := p.Get()
			for got := whole; got.Status == 200 && len(whole.Body) < len(body); whole.Body += "\x1e" + got.Body {
				got = p.Get()
			}
			whole.Is(t, 200, body)
			answer := p.Waiting()
			p.Post(body)
			first := <-answer // what was there when it looked; the rest comes with the next
			rest := first.Body
			for len(rest) < len(body) {
				rest += "\x1e" + p.Get().Body
			}
			if first.Status != 200 || rest != body {
				t.Errorf("%.100q came as %d %.100q", body, first.Status, rest)
			}
		})
	}
}

// A body is refused as a whole packet is: the session ends, and what came before the bad packet was
// taken.
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
				overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					p, other := r.Poll(), r.Poll()
					h := r.srv.session(p.SID).handler.(*tape)
					var waits <-chan wiretest.Reply
					if gets {
						waits = p.Waiting()
					}
					p.Post(tt.body, tt.header...).Is(t, 400, wiretest.BadRequest)
					if gets {
						if got := <-waits; got.Status != 200 || !strings.HasSuffix("\x1e"+got.Body, "\x1e1") && got.Body != "4one" {
							t.Errorf("the GET got %d %q", got.Status, got.Body)
						}
					}
					synctest.Wait()
					if !gets {
						p.Get().Is(t, 400, wiretest.UnknownSID)
					}
					if len(h.all()) != tt.heard || h.stopped() != 1 || h.closed() != 1 && !gets {
						t.Errorf("heard %q, stopped %d times, closed %d times", h.all(), h.stopped(), h.closed())
					}
					other.Say("4unharmed")
					other.Get().Is(t, 200, "4unharmed")
				})
			})
		}
	}
}

func TestPollingMethods(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			p.Send(t.Context(), method, "", nil).Is(t, 400, wiretest.BadRequest)
		}
		if got := p.Send(t.Context(), "HEAD", "", nil); got.Status != 400 {
			t.Error(got.Status)
		}
		p.Say("4unharmed")
		p.Get().Is(t, 200, "4unharmed")
	})
}

// A session by WebSocket takes no polling and no second WebSocket; one by polling takes a WebSocket
// only as an upgrade.
func TestSIDOfTheOtherTransport(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		k := r.Open()
		h, err := engineio.ParseHandshake([]byte(k.Packet()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		p := &wiretest.Poller{T: t, Web: r.Client(t), SID: h.SID}
		p.Get().Is(t, 400, wiretest.BadRequest)
		p.Post("4x").Is(t, 400, wiretest.BadRequest)
		second := wiretest.UpgradeTo(t, r.Dial(), h.SID)
		if code, _ := second.Closed(); code != closeProtocol {
			t.Error(code)
		}
		second.EOF()
		k.Text("4unharmed")
		k.Expect("4unharmed")

		q := r.Poll()
		if status, body := r.Request("GET", path+"?EIO=4&transport=websocket&sid="+q.SID, nil); status != 400 || body != wiretest.BadRequest {
			t.Error("no upgrade asked for: ", status, body)
		}
		if status, body := r.Request("POST", path+"?EIO=4&transport=websocket&sid="+q.SID, nil); status != 400 || wiretest.ErrorOf(t, body) != 2 {
			t.Error(status, body)
		}
		q.Say("4unharmed")
		q.Get().Is(t, 200, "4unharmed")
	})
}

func TestTwoGETs(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		first := p.Waiting()
		p.Get().Is(t, 400, wiretest.BadRequest)
		(<-first).Is(t, 200, "1")
		synctest.Wait()
		p.Get().Is(t, 400, wiretest.UnknownSID)
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestTwoPOSTs(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		h := r.only().handler.(*tape)
		in, out := io.Pipe()
		first := wiretest.Later(func() wiretest.Reply { return p.Send(context.Background(), "POST", "", in) })
		_, _ = out.Write([]byte("4fir"))
		synctest.Wait()
		waits := p.Waiting()
		p.Post("4second").Is(t, 400, wiretest.BadRequest)
		(<-waits).Is(t, 200, "1")
		_, _ = out.Write([]byte("st"))
		_ = out.Close()
		<-first
		synctest.Wait()
		p.Get().Is(t, 400, wiretest.UnknownSID)
		if n := r.srv.Count(); n != 0 || len(h.all()) > 0 {
			t.Errorf("%d sessions are left; heard %q", n, h.all())
		}
	})
}

// A client may have a GET's answer, and send the next one by another connection, before the relay
// knows that it is through.
func TestNextGETBeforeTheLastIsThrough(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		s := r.only()
		p.Say("4one")
		var next <-chan wiretest.Reply
		w := &eager{header: http.Header{}, flushed: func() {
			next = wiretest.Later(p.Get)
			synctest.Wait()
		}}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://relay"+path+"?EIO=4&transport=polling&sid="+p.SID, nil)
		r.srv.ServeHTTP(w, req)
		p.Say("4two")
		(<-next).Is(t, 200, "4two")
		if w.body != "4one" || s.isEnded() {
			t.Errorf("%q, ended: %v", w.body, s.isEnded())
		}
	})
}

// eager is a ResponseWriter whose client does something as soon as it has an answer.
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
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		s := r.only()
		ctx, cancel := context.WithCancel(t.Context())
		got := wiretest.Later(func() wiretest.Reply { return p.Send(ctx, "GET", "", nil) })
		synctest.Wait()
		cancel()
		<-got
		synctest.Wait()
		code, _ := endOf(s)
		if n := r.srv.Count(); n != 0 || code != closeGone {
			t.Errorf("%d sessions are left; ended with %d", n, code)
		}
		p.Get().Is(t, 400, wiretest.UnknownSID)
	})
}

func TestAbortedPOST(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		h := r.only().handler.(*tape)
		waits := p.Waiting()
		c := r.Dial()
		_, _ = fmt.Fprintf(c, "POST %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\nContent-Length: 20\r\n\r\n4half a mess", path, p.SID)
		synctest.Wait()
		_ = c.Close()
		(<-waits).Is(t, 200, "6")
		synctest.Wait()
		if n := r.srv.Count(); n != 0 || len(h.all()) > 0 {
			t.Errorf("%d sessions are left; heard %q", n, h.all())
		}
	})
}

// A client may abort the request for the handshake, too.
func TestAbortedHandshake(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		c := r.Dial()
		_, _ = io.WriteString(c, "GET "+path+"?EIO=4&transport=polling HTTP/1.1\r\nHost: relay\r\n\r\n")
		synctest.Wait()
		if n := r.srv.Count(); n != 1 {
			t.Fatal(n)
		}
		_ = c.Close()
		synctest.Wait()
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestPostOverTheLimit(t *testing.T) {
	for _, gets := range []bool{true, false} {
		for _, chunked := range []bool{true, false} {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p, other := r.Poll(), r.Poll()
				p.Post("4"+strings.Repeat("x", 1999)).Is(t, 200, "ok") // just fits
				p.Get()
				var waits <-chan wiretest.Reply
				if gets {
					waits = p.Waiting()
				}
				body := io.Reader(strings.NewReader("4" + strings.Repeat("x", 2000)))
				if chunked {
					body = io.MultiReader(body) // of no known length
				}
				p.Send(t.Context(), "POST", "", body).Is(t, 413, "Request Entity Too Large\n")
				if gets {
					(<-waits).Is(t, 200, "6")
				}
				synctest.Wait()
				if !r.log.Has("MAX_PAYLOAD") || r.srv.Count() != 1 {
					t.Errorf("a log line: %v, %d sessions are left", r.log.Has("MAX_PAYLOAD"), r.srv.Count())
				}
				p.Get().Is(t, 400, wiretest.UnknownSID)
				other.Say("4unharmed")
			}, "MAX_PAYLOAD=2000")
		}
	}
}
