package engine

import (
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
				pinged <- time.Since(r.srv.began)
			}()
		}
		if a, b := <-pinged, <-pinged; a != b {
			t.Errorf("pinged at %v and at %v", a, b)
		}
	})
}
