package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

var errSilent = errors.New("what is published does not come back")

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
		case <-f.doubt:
			continue
		case <-tick.C:
		}
		f.tellDropped()
		if f.isDead() {
			f.suspectConnection(errSilent)
		}
	}
}

// isDead reports whether nothing that shows the subscription to be alive has come for too long: a
// health check or, while the feed catches up, an answer.
func (f *feed) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	quiet := min(time.Since(f.subscribedAt), time.Since(f.probedAt))
	if f.phase == catchingUp {
		quiet = min(quiet, time.Since(f.answeredAt))
	}
	return f.phase != disconnected && quiet > probeTimeout
}

// isSilent reports whether nothing has been heard of Redis for as long as a call may take. While the feed catches
// up it answers.
func (f *feed) isSilent() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.phase {
	case live:
		return min(time.Since(f.subscribedAt), time.Since(f.probedAt)) > callTimeout
	case disconnected:
		return !f.missingSince.IsZero() && time.Since(f.missingSince) > callTimeout
	}
	return false
}

// suspectConnection has the connection made anew.
func (f *feed) suspectConnection(why error) {
	select {
	case f.kick <- why:
	default:
	}
}

// answered notes that a catch-up had an answer.
func (f *feed) answered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answeredAt = time.Now()
}

func (f *feed) sendProbe() {
	if c, err := f.b.use(); err == nil {
		f.sendProbeOver(c)
	}
}

// sendProbeOver sends a probe once it has subscribed to channels. What is subscribed to by another goroutine may come
// after it, and then its answer goes nowhere.
func (f *feed) sendProbeOver(c rueidis.CoreClient, channels ...string) {
	f.mu.Lock()
	f.probeSent++
	number := f.probeSent
	f.probeTimes[number%uint64(len(f.probeTimes))] = time.Now()
	f.timed.begin(number)
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(f.b.ctx, probeInterval)
	defer cancel()
	do := call{keys: []string{f.b.keys.head, f.b.keys.probe}, args: []string{f.channel, strconv.FormatUint(number, 10)}}
	answer, _, err := probeScript.subscribed(ctx, c, channels, do)
	if err != nil {
		return
	}
	if refused, err := answer.ToString(); err == nil && isDemoted(refused) && f.b.isCurrent(c) {
		f.suspectConnection(errDemoted)
	}
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
	case 'a':
		f.b.commands.answered(rest)
	}
}

// probeReturned takes the health check that has come back: "<epoch> <pos> <now> <format> <number>
// <version of the revocations> <why Redis refused to write, if it did>". All up to pos has been pushed before it.
func (f *feed) probeReturned(session int, text string) {
	defer nudge(f.b.presence.wake)
	defer nudge(f.b.sessions.wake)
	part := strings.SplitN(text, " ", 7)
	if len(part) < 7 {
		return // no relay writes this
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if session != f.session {
		return
	}
	f.probedAt = time.Now()
	number, _ := strconv.ParseUint(part[4], 10, 64)
	if n := uint64(len(f.probeTimes)); number <= f.probeSent && f.probeSent-number < n {
		if sent := f.probeTimes[number%n]; sent.After(f.after) {
			f.after = sent
		}
	}
	f.timed.end(number)
	if number > f.refusedAt {
		f.setRefusal(refusal(part[6]))
	}
	if f.phase != live {
		return
	}
	now, err := parseHead(part)
	if err != nil || now.epoch != f.epoch || f.b.checkFormat(part[3]) != nil {
		f.requestCatchUp()
		return
	}
	f.pos = max(f.pos, now.pos)
	f.clock = time.Until(time.UnixMilli(now.now))
	f.probeHeard = max(f.probeHeard, number)
	f.wakeReachers()
	f.b.revoked.compare(part[5], now.now)
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
	case f.barred != nil:
		return fmt.Errorf("%w: Redis does not take what is written: %w", broker.ErrUnavailable, f.barred)
	case f.phase == catchingUp:
		return fmt.Errorf("%w: catching up", broker.ErrUnavailable)
	case f.refusal != nil:
		return fmt.Errorf("%w: Redis does not take what is written: %w", broker.ErrUnavailable, f.refusal)
	case time.Since(f.probedAt) > probeTimeout:
		return fmt.Errorf("%w: %w", broker.ErrUnavailable, errSilent)
	}
	return nil
}
