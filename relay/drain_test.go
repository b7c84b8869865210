package relay

import (
	"context"
	"fmt"
	"net/http"
	"setu/relay/wiretest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		const n = 40
		peers := make([]*wiretest.Peer, n)
		for i := range peers {
			peers[i] = r.guest(fmt.Sprint("p", i))
			peers[i].Call("join", `{"room":"room","presence":true}`)
		}
		<-time.After(time.Second) // their joins have been announced, and wait in the pipes
		start := time.Now()
		var at []time.Duration
		var mu sync.Mutex
		var reading sync.WaitGroup
		for _, p := range peers {
			reading.Go(func() {
				for {
					f := p.NextFrame()
					if f.Op != wiretest.OpClose {
						if strings.Contains(string(f.Payload), `"left"`) {
							t.Error("a leave was announced: ", string(f.Payload))
						}
						continue
					}
					if string(f.Payload) != "\x03\xf4this relay restarts" {
						t.Errorf("closed with %q", f.Payload)
					}
					mu.Lock()
					at = append(at, time.Since(start))
					mu.Unlock()
					_, _ = p.Conn.Write(wiretest.ClientFrame(0x80|wiretest.OpClose, f.Payload))
					p.EOF()
					return
				}
			})
		}
		var err error
		reading.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err = r.srv.Shutdown(ctx)
		})
		synctest.Wait()
		up := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
		for path, want := range map[string]int{Path + "?EIO=4&transport=websocket": 503, "/readyz": 503, "/healthz": 200} {
			if status, body := r.Request("GET", path, up); status != want {
				t.Error(path, status, body)
			}
		}
		reading.Wait()
		slices.Sort(at)
		if err != nil || at[0] != 0 || at[n-1] != (n-1)*20*time.Millisecond {
			t.Errorf("closed from %s to %s: %v", at[0], at[n-1], err)
		}
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if _, count, err := r.broker.Members(t.Context(), "room", 100); count != n || err != nil {
			t.Errorf("%d members, %v: those that come back elsewhere never left", count, err)
		}
	})
}

// Clients that neither read nor answer can't hold a drain beyond its time.
func TestDrainOfTheDeaf(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		for range 5 {
			r.member("deaf", "room")
		}
		r.Open() // in the middle of its handshake
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := r.srv.Shutdown(ctx)
		if took := time.Since(start); err != context.DeadlineExceeded || took > 500*time.Millisecond+flushTimeout {
			t.Errorf("%v after %s", err, took)
		}
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// Clients that connect, work and leave while the relay drains find no half-made session.
func TestDrainUnderStorm(t *testing.T) {
	for range 20 {
		r := overTCP(t)
		var storm sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			storm.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					c := r.New()
					request := "GET " + Path + "?EIO=4&transport=websocket HTTP/1.1\r\nHost: relay\r\n" + wiretest.HandshakeHeader + "\r\n"
					_, _ = c.Write(slices.Concat([]byte(request), wiretest.ClientFrame(0x81, []byte("40")), wiretest.ClientFrame(0x81, []byte(`421["join",{"room":"room","presence":true}]`)),
						wiretest.ClientFrame(0x81, []byte(`422["publish",{"room":"room","data":1}]`))))
					if i%2 == 0 {
						_, _ = c.Read(make([]byte, 4096))
					}
					_ = c.Close()
				}
			})
		}
		<-time.After(5 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_ = r.srv.Shutdown(ctx)
		cancel()
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		close(stop)
		storm.Wait()
	}
}

// Two drains at a time are one: each returns when it is over. That no goroutine is left, the bubble
// shows: it would not end.
func TestShutdownTwice(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		poller := r.pollingGuest("b")
		waits := poller.Waiting()
		start := time.Now()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := r.srv.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if n := r.srv.engine.Count(); n != 0 {
					t.Errorf("%d sessions are left", n)
				}
			})
		}
		if code, reason := p.Closed(); code != closeRestart || reason != "this relay restarts" {
			t.Errorf("closed with %d %q", code, reason)
		}
		p.EOF()
		(<-waits).Is(t, 200, "6")
		both.Wait()
		if took := time.Since(start); took < grace || took > grace+time.Second {
			t.Errorf("both took %s", took)
		}
		if err := r.srv.Shutdown(t.Context()); err != nil { // and once more, when nobody is left
			t.Error(err)
		}
		if took := time.Since(start); took > grace+time.Second {
			t.Errorf("the third took until %s", took)
		}
	})
}
