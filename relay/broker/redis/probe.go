package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"setu/relay/broker"
)

// probe sends a message to itself through Redis, all the way round, and has the connection made
// anew when it stays away.
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
		dead := f.phase != disconnected && time.Since(f.subscribedAt) > probeTimeout && time.Since(f.probedAt) > probeTimeout
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
	probeScript.run(ctx, c, call{keys: []string{f.b.keys.head}, args: []string{f.channel}})
}

// receivePrivate takes what was said to this relay alone.
func (f *feed) receivePrivate(session int, text string) {
	if text == "" {
		return
	}
	switch kind, rest := text[0], text[1:]; kind {
	case 'p':
		f.probeReturned(session, rest)
	case 'f':
		f.b.sessions.fence(rest)
	}
}

// probeReturned takes the health check that has come back: "<epoch> <pos> <now> <format>". All up
// to pos has been pushed before it.
func (f *feed) probeReturned(session int, text string) {
	defer nudge(f.b.presence.wake)
	defer nudge(f.b.sessions.wake)
	f.mu.Lock()
	defer f.mu.Unlock()
	if session != f.session {
		return
	}
	f.probedAt = time.Now()
	part := strings.Split(text, " ")
	if f.phase != live || len(part) < 4 {
		return
	}
	now, err := parseHead(part)
	if err != nil || now.epoch != f.epoch || f.b.checkFormat(part[3]) != nil {
		f.requestCatchUp()
		return
	}
	f.pos = max(f.pos, now.pos)
	f.clock = time.Until(time.UnixMilli(now.now))
	f.wakeReachers()
}

func (f *feed) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	refused := f.b.refused.Load()
	switch {
	case f.b.ctx.Err() != nil:
		return broker.ErrClosed
	case refused != nil:
		return *refused
	case f.phase == disconnected:
		return fmt.Errorf("%w: not subscribed", broker.ErrUnavailable)
	case f.phase == catchingUp:
		return fmt.Errorf("%w: catching up", broker.ErrUnavailable)
	case time.Since(f.probedAt) > probeTimeout:
		return fmt.Errorf("%w: what is published does not come back", broker.ErrUnavailable)
	}
	return nil
}
