package engine

import (
	"context"
	"fmt"
	"net/http"
	"setu/relay/wiretest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// If a session ended between two GETs, the next one hears so, once, for a second.
func TestLateGET(t *testing.T) {
	tests := []struct {
		name string
		end  func(t *testing.T, r *rig, p *wiretest.Poller)
		want string
	}{
		{"after a goodbye", func(_ *testing.T, _ *rig, p *wiretest.Poller) { p.Say("1") }, "6"},
		{"after a goodbye behind a message", func(_ *testing.T, _ *rig, p *wiretest.Poller) { p.Say("4x", "1", "4y") }, "4x\x1e6"},
		{"after a drain", func(_ *testing.T, r *rig, p *wiretest.Poller) {
			go func() { _, _ = r.srv.Shutdown(context.Background()) }()
			synctest.Wait()
		}, "6"},
		{"after no CONNECT", func(t *testing.T, r *rig, _ *wiretest.Poller) { r.only().close(closeGone, "no CONNECT in time", false) }, "6"},
	}
	for _, tt := range tests {
		for _, late := range []time.Duration{0, lateGetTimeout - time.Millisecond, lateGetTimeout + time.Millisecond} {
			t.Run(fmt.Sprint(tt.name, " ", late), func(t *testing.T) {
				overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					p := r.Poll()
					h := r.only().handler.(*tape)
					tt.end(t, r, p)
					<-time.After(late)
					p.Post("4z").Is(t, 400, wiretest.UnknownSID)
					if late < lateGetTimeout {
						p.Get().Is(t, 200, tt.want)
						synctest.Wait()
					}
					p.Get().Is(t, 400, wiretest.UnknownSID)
					synctest.Wait()
					if n := r.srv.Count(); n != 0 || h.stopped() != 1 || h.closed() != 1 {
						t.Errorf("%d sessions are left; stopped %d times, closed %d times", n, h.stopped(), h.closed())
					}
				})
			})
		}
	}
}

// A GET that waits when the session ends is told at once, and the next finds nothing.
func TestEndWhileAGETWaits(t *testing.T) {
	tests := map[string]struct {
		end  func(r *rig, p *wiretest.Poller)
		want string
	}{
		"goodbye": {func(_ *rig, p *wiretest.Poller) { p.Say("1") }, "6"},
		"drain": {func(r *rig, _ *wiretest.Poller) {
			_, _ = r.srv.Shutdown(context.Background())
		}, "6"},
		"too slow":    {func(r *rig, _ *wiretest.Poller) { r.only().close(closeSlow, "too slow", true) }, "6"},
		"no pong yet": {func(r *rig, _ *wiretest.Poller) { r.only().close(closeGone, "no pong in time", true) }, "6"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.Poll()
				start := time.Now()
				waits := p.Waiting()
				tt.end(r, p)
				(<-waits).Is(t, 200, tt.want)
				synctest.Wait()
				p.Get().Is(t, 400, wiretest.UnknownSID)
				if n := r.srv.Count(); n != 0 || time.Since(start) > 0 {
					t.Errorf("%d sessions are left after %s", n, time.Since(start))
				}
			})
		})
	}
}

func TestHeartbeatOverPolling(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		last := time.Now()
		for range 3 {
			p.Get().Is(t, 200, "2")
			if got := time.Since(last); got != 25*time.Second {
				t.Fatalf("a ping after %s", got)
			}
			last = time.Now()
			p.Say("3")
		}
		<-time.After(30 * time.Second) // no GET comes: the ping waits for the next one
		p.Get().Is(t, 200, "2")
		last = time.Now()
		for range 14 { // data is no pong
			p.Say("4x")
			p.Get().Is(t, 200, "4x")
			<-time.After(time.Second)
		}
		waits := p.Waiting()
		(<-waits).Is(t, 200, "6")
		if got := time.Since(last); got != 15*time.Second { // 20 since the ping
			t.Errorf("ended %s after the ping was fetched", got)
		}
		p.Get().Is(t, 400, wiretest.UnknownSID)
	})
}

// A request that comes after the end of the wait for a pong is too late, however late the timer is.
func TestLateTimer(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		h := &r.only().heartbeat
		h.mu.Lock()
		h.due = time.Now().Add(-300 * time.Millisecond)
		h.mu.Unlock()
		p.Get().Is(t, 400, wiretest.UnknownSID)
	}, "PING_TIMEOUT=200ms")
}

// Pongs of a client that never polls answer no ping.
func TestPongsWithoutPolling(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		for range 60 {
			if p.Post("3").Status != 200 {
				return
			}
			<-time.After(time.Second)
		}
		t.Error("it is there after a minute")
	})
}

// A client that never polls is gone in time, and holds no more than its outbox meanwhile.
func TestPollerThatNeverGETs(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		start := time.Now()
		<-time.After(45*time.Second - time.Millisecond)
		if r.srv.Count() != 1 {
			t.Error("ended early")
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left after %s", n, time.Since(start))
		}
		p.Get().Is(t, 400, wiretest.UnknownSID)
	})
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		s := r.only()
		for n := 0; ; n++ {
			got := p.Post("4" + strings.Repeat("x", 999))
			s.out.mu.Lock()
			bytes := s.out.bytes
			s.out.mu.Unlock()
			if bytes > 65536 || n > 100 {
				t.Fatalf("%d bytes wait after %d messages", bytes, n)
			}
			if s.isEnded() {
				break
			}
			got.Is(t, 200, "ok")
		}
		synctest.Wait()
		if code, _ := endOf(s); code != closeSlow || r.srv.Count() != 0 {
			t.Errorf("ended with %d; %d sessions are left", code, r.srv.Count())
		}
		p.Get().Is(t, 400, wiretest.UnknownSID)
	}, "OUTBOX_BYTES=65536")
}

// What a poll took waits for the next one to show that it has arrived, and counts until then.
func TestTakenCountsUntilTheNextGET(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		s := r.only()
		for range 50 { // far more than an outbox holds, in all
			for range 15 {
				p.Say("4" + strings.Repeat("x", 3999))
			}
			if got := p.Get(); len(got.Body) != 15*4001-1 {
				t.Fatal(got.Status, len(got.Body))
			}
			s.out.mu.Lock()
			bytes := s.out.bytes
			s.out.mu.Unlock()
			if bytes < 60_000 {
				t.Fatal("counts ", bytes)
			}
			p.Say("4end")
			p.Get().Is(t, 200, "4end")
		}
	}, "OUTBOX_BYTES=65536")
}

// A drain answers the GETs that wait at once, and gives the other clients a second to send one.
func TestDrainOfPollers(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		waits := r.Poll().Waiting()
		later, never := r.Poll(), r.Poll()
		upgrading := r.Poll()
		k := r.Probe(upgrading)
		start := time.Now()
		over := make(chan time.Duration)
		go func() {
			_, _ = r.srv.Shutdown(context.Background())
			over <- time.Since(start)
		}()
		(<-waits).Is(t, 200, "6")
		<-time.After(lateGetTimeout / 2)
		later.Get().Is(t, 200, "6")
		upgrading.Get().Is(t, 200, "6")
		k.EOF()
		fresh := &wiretest.Poller{T: t, Web: r.Client(t)}
		if got := fresh.Get(); got.Status != http.StatusServiceUnavailable || got.Header.Get("Cache-Control") != "no-store" {
			t.Error(got)
		}
		if took := <-over; took < lateGetTimeout || took > lateGetTimeout+4*maxSpread {
			t.Errorf("the drain took %s", took)
		}
		never.Get().Is(t, 400, wiretest.UnknownSID)
	})
}

// A drain whose context is over waits for no client that polls.
func TestForcedDrainOfPollers(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		for range 5 {
			r.Poll()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := r.srv.Shutdown(ctx)
		if took := time.Since(start); err != context.DeadlineExceeded || took != 500*time.Millisecond {
			t.Errorf("%v after %s", err, took)
		}
	})
}
