package broker

import (
	"context"
	"fmt"
	"time"
)

// probe sends a message to itself through Redis, all the way round, and has the connection made anew when it stays away.
func (f *feed) probe() {
	defer f.b.wg.Done()
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		f.sendProbe()
		select {
		case <-f.b.ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		dead := f.up && time.Since(f.upAt) > probeTimeout && time.Since(f.rounded) > probeTimeout
		f.mu.Unlock()
		if dead {
			nudge(f.kick)
		}
	}
}

func (f *feed) sendProbe() {
	c, err := f.b.use()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(f.b.ctx, probeInterval)
	defer cancel()
	c.Do(ctx, c.B().Publish().Channel(f.channel).Message("round").Build())
}

func (f *feed) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.b.ctx.Err() != nil:
		return ErrClosed
	case !f.up:
		return fmt.Errorf("%w: not subscribed", ErrUnavailable)
	case f.catching:
		return fmt.Errorf("%w: catching up", ErrUnavailable)
	case time.Since(f.rounded) > probeTimeout:
		return fmt.Errorf("%w: what is published does not come back", ErrUnavailable)
	}
	return nil
}

// since tells for how long the connection has been subscribed.
func (f *feed) since() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.up {
		return 0
	}
	return time.Since(f.upAt)
}
