package redis

import (
	"context"
	"time"

	"setu/relay/broker"
)

// reachRetry is how long a health check that was sent for somebody who waits may take, before
// another is.
const reachRetry = 500 * time.Millisecond

// Reach implements broker.Broker. What Redis pushed before a health check came round has been
// delivered then; so if this relay has not heard of at's position, one is sent, for all who wait
// at the time. If one that was sent after the call does not know of the position or the epoch, Redis
// does not.
func (b *Broker) Reach(ctx context.Context, at broker.Offset) error {
	f := b.feed
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	f.mu.Lock()
	next := f.probeSent + 1
	f.mu.Unlock()
	for {
		f.mu.Lock()
		there := f.epoch == at.Epoch && f.pos >= at.Pos && f.phase == live
		gone := !there && f.phase == live && f.probeHeard >= next
		passed := f.passed
		first := !there && !gone && !f.probing
		f.probing = f.probing || first
		f.mu.Unlock()
		switch {
		case there:
			return nil
		case gone:
			return broker.ErrGap
		}
		again := time.NewTimer(reachRetry)
		if first {
			f.sendProbe()
		}
		select {
		case <-passed:
		case <-again.C:
			f.mu.Lock()
			f.probing = false // it may have got lost with its connection
			f.mu.Unlock()
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return unavailable(ctx.Err())
		}
	}
}

// wakeReachers wakes those who wait for the feed to get somewhere. f.mu is held.
func (f *feed) wakeReachers() {
	f.probing = false
	close(f.passed)
	f.passed = make(chan struct{})
}
