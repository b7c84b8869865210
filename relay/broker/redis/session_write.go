package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

const (
	keepDelay    = 50 * time.Millisecond // that a fresh session waits for its first Join
	sessionBatch = 512                   // sessions written in one trip
	touchBatch   = 256                   // sessions renewed by one call
	maxChanged   = 64                    // memberships that differ; where more do, all are written
)

// check has all sessions looked at: Redis was away, and may have lost some, or what was said of who has resumed them.
func (k *sessions) check() {
	k.mu.Lock()
	k.due = true
	k.mu.Unlock()
	nudge(k.wake)
}

func (k *sessions) takeDue() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	due := k.due
	k.due = false
	return due
}

// run writes what is marked, and renews all that is owned here.
func (k *sessions) run() {
	defer k.b.wg.Done()
	defer close(k.done)
	touch := time.NewTicker(max(k.b.cfg.Recovery/2, 10*time.Millisecond))
	defer touch.Stop()
	ripe := time.NewTimer(time.Hour)
	defer ripe.Stop()
	for due := false; ; {
		if c, err := k.b.use(); err == nil && k.b.feed.ready() == nil {
			due = k.takeDue() || due
			k.write(k.b.ctx, c) // what can't be written stays marked
			due = due && k.touch(c) != nil
		}
		select {
		case <-k.b.ctx.Done():
			return
		case <-k.quit:
			return
		case <-touch.C:
			due = true
			k.forget()
		case <-k.soon:
			ripe.Reset(keepDelay)
		case <-ripe.C:
			k.ripen()
		case <-k.wake:
		}
	}
}

// mark has s written. k.mu is held.
func (k *sessions) mark(s *kept) {
	k.enqueue(s)
	nudge(k.wake)
}

func (k *sessions) enqueue(s *kept) {
	if !s.queued {
		s.queued = true
		k.queue = append(k.queue, s)
	}
}

// ripen marks the fresh sessions that no Join has marked.
func (k *sessions) ripen() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.fresh {
		if k.owned[s.owner] == s && !s.sent {
			k.mark(s)
		}
	}
	k.fresh = nil
}

// forget lets go of what could not be written for so long that Redis has let go of it, too.
func (k *sessions) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.owned {
		if (s.phase == released || s.phase == ended) && time.Since(s.since) > 2*k.b.cfg.Recovery {
			k.letGo(s, s.phase)
		}
	}
	k.queue = slices.DeleteFunc(k.queue, func(s *kept) bool { return k.owned[s.owner] != s })
}

// update is one session on its way to Redis.
type update struct {
	s       *kept
	do      call
	version uint64
	last    bool // nothing comes after it
	waiting []chan error
}

// write brings Redis in step with what is marked, as far as anything gets through.
func (k *sessions) write(ctx context.Context, c rueidis.Client) error {
	for {
		work := k.take()
		if len(work) == 0 {
			return nil
		}
		if err := k.writeBatch(ctx, c, work); err != nil {
			return err
		}
	}
}

func (k *sessions) take() (work []update) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.queue) > 0 && len(work) < sessionBatch {
		s := k.queue[0]
		k.queue = k.queue[1:]
		s.queued = false
		if k.owned[s.owner] == s {
			work = append(work, k.update(s))
		}
	}
	return work
}

// update says all that is to be written of s, and takes it for written. k.mu is held.
func (k *sessions) update(s *kept) update {
	u := update{s: s, version: s.version + 1, last: s.phase == released || s.phase == ended, waiting: s.waiting}
	ttl := 2 * k.b.cfg.Recovery
	switch s.phase {
	case released:
		ttl /= 2
	case ended:
		ttl = 0
	}
	before := s.version
	if s.whole {
		before = 0
	}
	args := []string{s.owner, ms(ttl), strconv.FormatUint(before, 10), strconv.FormatUint(u.version, 10)}
	switch {
	case s.phase == invalid || s.phase == ended: // the owner alone, so that he can be told
	case s.whole:
		args = s.appendAll(args)
	default:
		args = s.appendChanged(args)
	}
	u.do = call{keys: []string{k.b.keys.session + s.key}, args: args}
	s.changed, s.gone, s.whole, s.waiting, s.busy, s.sent = nil, false, false, nil, true, true
	return u
}

// writeBatch fails where nothing was written.
func (k *sessions) writeBatch(ctx context.Context, c rueidis.Client, work []update) error {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	calls := make([]call, len(work))
	for i, u := range work {
		calls[i] = u.do
	}
	var failed []error
	for i, r := range keepScript.run(ctx, c, calls...) {
		answer, err := r.AsInt64()
		if err != nil {
			failed = append(failed, err)
		}
		k.written(work[i], answer, unavailable(err))
	}
	if len(failed) == len(work) {
		return failed[0]
	}
	return nil
}

// written takes what Redis said of one update. What it does not have is written whole.
func (k *sessions) written(u update, answer int64, err error) {
	s := u.s
	k.mu.Lock()
	s.busy, s.version = false, u.version // where it failed, too: it may come late, and must not count then
	switch {
	case s.phase == fenced || answer < 0:
		err = broker.ErrGone
	case err != nil:
		k.enqueue(s) // for the next time, which finds out whether it was stored
	case answer == 0:
		s.whole, s.waiting = true, append(u.waiting, s.waiting...)
		k.mark(s)
		u.waiting = nil
	case u.last:
		k.letGo(s, s.phase)
	}
	k.mu.Unlock()
	for _, w := range u.waiting {
		w <- err
	}
	if answer < 0 {
		k.fence(s.owner)
	}
}

// touch renews all that is owned here. What Redis has lost, or something of it, is written anew.
func (k *sessions) touch(c rueidis.Client) error {
	k.mu.Lock()
	all := make([]*kept, 0, len(k.owned))
	for _, s := range k.owned {
		all = append(all, s)
	}
	k.mu.Unlock()
	var failed error
	for some := range slices.Chunk(all, touchBatch) {
		if err := k.touchSome(c, some); err != nil {
			return err
		}
		if failed == nil {
			failed = k.write(k.b.ctx, c) // nobody waits for all of them
		}
	}
	return nil
}

func (k *sessions) touchSome(c rueidis.Client, some []*kept) error {
	do := call{args: []string{ms(2 * k.b.cfg.Recovery)}}
	var asked []*kept
	k.mu.Lock()
	for _, s := range some {
		if (s.phase == owned || s.phase == invalid) && s.version > 0 && !s.queued {
			asked = append(asked, s)
			do.keys = append(do.keys, k.b.keys.session+s.key)
			do.args = append(do.args, s.owner, strconv.FormatUint(s.version, 10))
		}
	}
	k.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(k.b.ctx, callTimeout)
	defer cancel()
	answers, err := touchScript.run(ctx, c, do)[0].AsIntSlice()
	if err != nil {
		return err
	}
	for i, s := range asked[:min(len(asked), len(answers))] {
		switch {
		case answers[i] < 0:
			k.fence(s.owner)
		case answers[i] == 0:
			k.mu.Lock()
			s.whole = true
			k.mark(s)
			k.mu.Unlock()
		}
	}
	return nil
}
