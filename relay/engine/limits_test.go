package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/limit"
	"setu/relay/wiretest"
)

const (
	byPolling = path + "?EIO=4&transport=polling"
	bySocket  = path + "?EIO=4&transport=websocket"
)

// connecting is a handler that takes any message for a CONNECT.
func connecting(s *Session, _ []byte, _ bool) error {
	s.SetConnectDeadline(0)
	return nil
}

// A handshake that is one too many is refused, by either transport, and is told how long to wait; after
// that it is taken.
func TestHandshakesAreLimited(t *testing.T) {
	for _, setting := range []string{"HANDSHAKE_RATE=1/s:2", "HANDSHAKES_RATE=1/s:2"} {
		for name, again := range map[string]func(r *rig) (int, string){
			"polling":   func(r *rig) (int, string) { return r.Request("GET", byPolling, nil) },
			"WebSocket": func(r *rig) (int, string) { return r.Request("GET", bySocket, upgradeHeader()) },
		} {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				r.greeted()
				r.Poll()
				if status, body := again(r); status != 429 || body != `{"code":"rate_limited","message":"too many requests: wait 1000 ms","retry":1000}` {
					t.Errorf("%s, %s: %d %s", setting, name, status, body)
				}
				if n := r.srv.Count(); n != 2 {
					t.Errorf("%d sessions", n)
				}
				<-time.After(time.Second)
				r.Poll()
				if !r.log.Has(strings.TrimSuffix(setting, "=1/s:2")) {
					t.Error("the log does not name the setting")
				}
			}, setting)
		}
	}
}

func TestConnectionsOfAnAddress(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.greeted()
		r.Poll()
		if status, body := r.Request("GET", byPolling, nil); status != 429 || !strings.Contains(body, `"retry":5000`) {
			t.Fatal(status, body)
		}
		_ = p.Conn.Close()
		synctest.Wait()
		r.Poll()
	}, "MAX_ADDRESS_CONNECTIONS=2")
}

// Those that are connected to nothing yet are few, and of one address a quarter of them.
func TestUnconnected(t *testing.T) {
	overPipes(t, tapes(connecting), func(t *testing.T, r *rig) {
		p := r.greeted()
		if status, body := r.Request("GET", byPolling, nil); status != 429 {
			t.Fatal(status, body)
		}
		p.Text("4x")
		synctest.Wait()
		q := r.Poll()
		if status, _ := r.Request("GET", byPolling, nil); status != 429 {
			t.Fatal("one more, with ", status)
		}
		q.Say("1")
		<-time.After(10 * time.Second)
		r.Poll()
		p.Text("4y") // once more changes nothing
		synctest.Wait()
		if status, _ := r.Request("GET", byPolling, nil); status != 429 {
			t.Fatal("one more, with ", status)
		}
	}, "MAX_UNCONNECTED=4")
}

// Requests that are no good count as handshakes of their address.
func TestBadRequestsAreLimited(t *testing.T) {
	for _, target := range []string{byPolling + "&sid=x", path + "?EIO=4", path + "?EIO=4&transport=x"} {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			for i := range 5 {
				want := 400
				if i >= 2 {
					want = 429
				}
				if status, body := r.Request("GET", target, nil); status != want {
					t.Fatal(target, status, body)
				}
			}
		}, "HANDSHAKE_RATE=1/s:2")
	}
}

// What asks for nothing is cheap to send. A client that does not stop is closed, and told why.
func TestFloods(t *testing.T) {
	first := map[string][]byte{"fragments": wiretest.ClientFrame(0x01, []byte("4"))}
	for name, flood := range map[string][]byte{
		"pongs":           wiretest.ClientFrame(0x81, []byte("3")),
		"WebSocket pings": wiretest.ClientFrame(0x89, nil),
		"WebSocket pongs": wiretest.ClientFrame(0x8a, nil),
		"fragments":       bytes.Repeat(wiretest.ClientFrame(0x00, nil), 500),
		"large messages":  wiretest.ClientFrame(0x81, append([]byte("4"), make([]byte, 4000)...)),
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, tapes(connecting), func(t *testing.T, r *rig) {
				p := r.greeted()
				p.Write(first[name])
				go func() {
					for range 1000 {
						if _, err := p.Conn.Write(flood); err != nil {
							return
						}
					}
					t.Error("all was taken")
				}()
				f := p.FrameUntil(wiretest.OpClose)
				if code, reason := int(f.Payload[0])<<8|int(f.Payload[1]), string(f.Payload[2:]); code != closePolicy || reason != excessReason {
					t.Error(code, reason)
				}
				<-time.After(flushTimeout + 2*shedTimeout + time.Second)
				if n := r.srv.Count(); n != 0 {
					t.Errorf("%d sessions are left", n)
				}
			}, "EVENT_RATE=10/s", "BYTES_RATE=1000/s:10000", "MAX_PAYLOAD=5000")
		})
	}
}

// A client that was closed for what it sent, and sends more, is not read on.
func TestFloodAfterTheEnd(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.greeted()
		p.Text("2")
		p.FrameOf(wiretest.OpClose)
		frame, sent := wiretest.ClientFrame(0x82, make([]byte, 4000)), 0
		for {
			if _, err := p.Conn.Write(frame); err != nil {
				break
			}
			sent += len(frame)
		}
		if sent > lateBytes+len(frame) {
			t.Errorf("%d bytes were read", sent)
		}
	})
}

// A flood by polling ends with its request.
func TestPollingFlood(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		body := "3" + strings.Repeat("\x1e3", 10_000)
		if got := p.Post(body); got.Status != 429 || !strings.Contains(got.Body, `"rate_limited"`) {
			t.Error(got.Status, got.Body)
		}
		if got := p.Get(); got.Status == 200 {
			got = p.Get()
			if got.Status != 400 {
				t.Error(got.Status, got.Body)
			}
		}
	}, "EVENT_RATE=10/s")
}

// Upgrades that come to nothing cost the session.
func TestUpgradesAreLimited(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		for range 3 {
			k := wiretest.UpgradeTo(r.T, r.Dial(), p.SID)
			_ = k.Conn.Close()
			synctest.Wait()
		}
		if status, body := r.Request("GET", bySocket+"&sid="+p.SID, upgradeHeader()); status != 429 {
			t.Error(status, body)
		}
	}, "EVENT_RATE=1/s:3")
}

// The more connections an address has, the less each may do at once. It is refused less before it is
// closed, too.
func TestCrowdOfAnAddress(t *testing.T) {
	r := overTCP(t, tapes(echo), "EVENT_RATE=1/s:20", "MAX_ADDRESS_CONNECTIONS=1000")
	refused := func(p *wiretest.Poller) bool { return p.Post("3"+strings.Repeat("\x1e3", 79)).Status == 429 }
	first := r.Poll()
	if refused(r.Poll()) {
		t.Error("one alone may not do all at once")
	}
	for range limit.Crowd {
		r.Poll()
	}
	if !refused(r.Poll()) {
		t.Error("one of many may do as much at once")
	}
	if !refused(first) {
		t.Error("the first of many may do as much at once")
	}
}

// An address that owes much is not read, unless it has many clients.
func TestShutOut(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		at := r.srv.Address(httptest.NewRequest("GET", "/", nil))
		for range 2 {
			if r.srv.IsShutOut(at) {
				t.Error("before it owes that much")
			}
			r.srv.limits.handshakes.Debit(at, 4*closePenalty/5)
		}
		if !r.srv.IsShutOut(at) {
			t.Error("it is read, though it owes half of a burst")
		}
		for range limit.Crowd {
			r.srv.limits.connections.Add(at)
		}
		if r.srv.IsShutOut(at) {
			t.Error("a proxy is shut out")
		}
	}, "HANDSHAKE_RATE=1/s:20")
}

// Fragments that carry nothing are paid for as if they did; what clients send is not.
func TestFraming(t *testing.T) {
	f := &framing{}
	paid := 0
	read := func(came, payload int, last error) {
		f.of(readerFunc(func(p []byte) (int, error) {
			for ; came > 0; came -= aheadBytes {
				paid += f.price(min(came, aheadBytes))
			}
			return min(payload, len(p)), last
		}))
		_, _ = f.Read(make([]byte, maxRead))
	}
	for range 1000 {
		read(6+2, 2, io.EOF)  // what is small
		read(4104, 4096, nil) // and what comes in fragments of 4 KB
		read(4104, 4096, io.EOF)
	}
	if paid > 1_000*2*200 {
		t.Errorf("%d bytes are paid for the frames of 8 MB", paid)
	}
	paid = 0
	read(6*100_000, 1, nil)
	const documented = 128 // by the README
	if paid < documented*500_000 {
		t.Errorf("%d bytes are paid for 100,000 fragments", paid)
	}
	paid = 0
	for range 1000 {
		read(6*1000, 1, nil)
	}
	if paid < documented*5_500_000 {
		t.Errorf("%d bytes are paid for 1,000,000 fragments, of which a thousand carry a byte", paid)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// An address whose client was closed for excess pays in handshakes.
func TestExcessCostsHandshakes(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		p.Post("3" + strings.Repeat("\x1e3", 1000))
		if status, body := r.Request("GET", byPolling, nil); status != 429 {
			t.Error(status, body)
		}
		<-time.After((closePenalty - 8) * time.Second)
		r.Poll()
	}, "EVENT_RATE=10/s", fmt.Sprint("HANDSHAKE_RATE=1/s:", closePenalty-10))
}

// A body that trickles, byte for byte, is cut at its deadline, which no byte puts off, whatever the
// request was for.
func TestBodyThatTrickles(t *testing.T) {
	for _, target := range []string{"session", byPolling + "&sid=unknown", byPolling, path} {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			if target == "session" {
				target = byPolling + "&sid=" + r.Poll().SID
			}
			c := r.Dial()
			start := time.Now()
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000\r\n\r\n", target)
			for err == nil {
				<-time.After(time.Second)
				_, err = c.Write([]byte("4"))
			}
			if took := time.Since(start); took > 47*time.Second {
				t.Errorf("%s: it was read for %s", target, took)
			}
		})
	}
}

// What a client does not read ends with its deadline.
func TestAnswersThatNobodyReads(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		c := r.Dial()
		start := time.Now()
		var err error
		for err == nil {
			_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: relay\r\n\r\n", byPolling+"&sid=unknown")
		}
		if took := time.Since(start); took > 50*time.Second {
			t.Errorf("it was held for %s", took)
		}
	})
}

// A client that keeps to its limits notices nothing of them.
func TestWithinTheLimits(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.greeted()
		for range 100 {
			p.Text("4x")
			p.Expect("4x")
			p.Text("3")
			<-time.After(100 * time.Millisecond)
		}
	}, "EVENT_RATE=10/s", "BYTES_RATE=1000/s")
}

// An address that another relay has told is the client's.
func TestForwardedAddress(t *testing.T) {
	r, err := http.NewRequest("GET", byPolling, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "10.0.0.1:4711"
	srv := &Server{}
	if got := srv.Address(r).String(); got != "10.0.0.1" {
		t.Error(got)
	}
	at := srv.Address(r).Next()
	if got := srv.Address(Forwarded(r, at)); got != at {
		t.Error(got)
	}
}
