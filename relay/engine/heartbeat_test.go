package engine

import (
	"io"
	"testing"
	"time"
)

// Clients that came one after another are pinged together, none later than after PingInterval, and none
// much earlier.
func TestPingsTogether(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		interval := r.srv.cfg.PingInterval
		slot := interval / pingSlots
		pinged := make(chan time.Duration, 2)
		for _, after := range []time.Duration{slot / 4, slot / 2} {
			<-time.After(after)
			came := time.Now()
			p := r.greeted()
			go func() {
				if got := p.Packet(); got != "2" {
					t.Errorf("%q instead of a ping", got)
				}
				took := time.Since(came)
				if took > interval || took <= interval-slot {
					t.Errorf("pinged after %v", took)
				}
				pinged <- time.Since(r.srv.agenda.began)
			}()
		}
		if a, b := <-pinged, <-pinged; a != b {
			t.Errorf("pinged at %v and at %v", a, b)
		}
	})
}

// Clients that are due together share an appointment, who answers nothing is closed when it is due, and of who is gone
// nothing stays appointed.
func TestAgenda(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		cfg, grain := r.srv.cfg, r.srv.agenda.grain
		appointed := func() int {
			r.srv.agenda.mu.Lock()
			defer r.srv.agenda.mu.Unlock()
			return len(r.srv.agenda.slots)
		}
		const clients = 40
		gone := make(chan time.Duration, clients)
		for i := range clients {
			came, p := time.Now(), r.greeted()
			go func() {
				defer p.Conn.Close()
				if i%2 == 0 {
					p.Packet()
					p.Text("3")
					p.Packet()
					return
				}
				_, _ = io.Copy(io.Discard, p.Conn)
				gone <- time.Since(came)
			}()
		}
		if n := appointed(); n > 2 {
			t.Errorf("%d appointments of clients that came at once", n)
		}
		for range clients / 2 {
			if took := <-gone; took <= cfg.PingInterval+cfg.PingTimeout-grain || took > cfg.PingInterval+cfg.PingTimeout {
				t.Errorf("closed after %v", took)
			}
		}
		for r.srv.Count() > 0 {
			<-time.After(cfg.PingInterval)
		}
		if n := appointed(); n > 0 {
			t.Errorf("%d appointments of nobody", n)
		}
	})
}
