package engine

import (
	"context"
	"setu/relay/wiretest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Clients that read their close and answer nothing hold a drain for a moment, not for as long as a
// close waits otherwise.
func TestDrainOfSilentClients(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		const n = 1000
		var reading sync.WaitGroup
		defer reading.Wait()
		for range n {
			p := r.greeted()
			reading.Go(func() {
				if f := p.FrameUntil(wiretest.OpClose); string(f.Payload) != "\x03\xf4this relay restarts" {
					t.Errorf("closed with %q", f.Payload)
				}
				p.EOF()
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		had, err := r.srv.Shutdown(ctx)
		spread := (n - 1) * 10 * time.Millisecond // over half of the time
		if took := time.Since(start); !had || err != nil || took != spread+drainTimeout {
			t.Errorf("%v, %v after %s, want %s", had, err, took, spread+drainTimeout)
		}
	})
}

// A client that was closed before the drain, and answers nothing, does not prolong it.
func TestDrainBehindAClose(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		start := time.Now()
		p := r.greeted()
		p.Text("2")
		p.FrameOf(wiretest.OpClose)
		synctest.Wait()
		if _, err := r.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != flushTimeout+drainTimeout {
			t.Errorf("the drain took %s", took)
		}
	})
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) { // without a drain it may take longer
		start := time.Now()
		p := r.greeted()
		p.Text("2")
		p.EOF()
		if took := time.Since(start); took != closeTimeout {
			t.Errorf("the connection stood for %s", took)
		}
	})
}
