package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

const touchBatch = 256 // sessions renewed by one call

// turn writes what is marked, and renews all that is owned here if that is due.
func (k *sessions) turn(c rueidis.Client, due bool) (stillDue bool) {
	k.ripen()
	_ = k.write(k.b.ctx, c) // what can't be written stays marked
	return due && k.touch(c) != nil
}

// expire lets go of what could not be written for so long that Redis has let go of it, too.
func (k *sessions) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.owned {
		if s.ownership == parted && time.Since(s.since) > 2*k.b.cfg.Recovery {
			k.letGo(s, ended)
		}
		if s.isPast() && time.Since(s.since) > 2*k.b.cfg.Recovery {
			k.letGo(s, s.ownership)
		}
	}
}

func (k *sessions) isMarked(s *handle) bool {
	_, marked := k.marks[s]
	return marked
}

// update is one session on its way to Redis.
type update struct {
	marked[*handle, error]
	do      call
	version uint64
	last    bool // nothing comes after it
}

// write brings Redis in step with what is marked, as far as anything gets through.
func (k *sessions) write(ctx context.Context, c rueidis.Client) error {
	return k.flush(func(work []marked[*handle, error]) func() error {
		updates := make([]update, len(work))
		for i, m := range work {
			updates[i] = k.update(m)
		}
		return func() error { return k.writeBatch(ctx, c, updates) }
	})
}

// update says all that is so of a session, and takes it for written. k.mu is held.
func (k *sessions) update(m marked[*handle, error]) update {
	s := m.key
	u := update{marked: m, version: s.version + 1, last: s.isPast()}
	ttl := 2 * k.b.cfg.Recovery
	switch s.ownership {
	case released:
		ttl /= 2
	case ended:
		ttl = 0
	}
	args := []string{s.owner, ms(ttl), strconv.FormatUint(u.version, 10)}
	if s.ownership != invalid && s.ownership != ended {
		args = append(args, s.fields()...)
	}
	u.do = call{keys: []string{k.b.keys.session + s.key}, args: args}
	s.busy, s.sent = true, true
	return u
}

// writeBatch fails if nothing was written.
func (k *sessions) writeBatch(ctx context.Context, c rueidis.Client, work []update) error {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	calls := make([]call, len(work))
	for i, u := range work {
		calls[i] = u.do
	}
	var failed []error
	for i, r := range saveScript.run(ctx, c, calls...) {
		answer, err := r.AsInt64()
		if err != nil {
			k.b.feed.noteRefusal(err)
			failed = append(failed, err)
		}
		k.written(work[i], answer, unavailable(err))
	}
	if len(failed) == len(work) {
		return failed[0]
	}
	return nil
}

// written takes what Redis said of one update. If a later one is stored, of a time before Redis was
// set back or this relay's answer got lost, the session is written again.
func (k *sessions) written(u update, answer int64, err error) {
	s := u.key
	k.mu.Lock()
	s.busy, s.version = false, u.version // if it failed, too: it may come late, and must not count then
	switch {
	case s.ownership == fenced || answer < 0:
		err = broker.ErrGone
	case err != nil:
		k.markAgain(s) // for the next time, which finds out whether it was stored
	case answer == 0:
		k.mark(s, u.waiting...)
		u.waiting = nil
	case u.last:
		k.letGo(s, s.ownership)
	}
	k.mu.Unlock()
	u.answer(err)
	if answer < 0 {
		k.fence(s.owner)
	}
}

// touch renews all that is owned here. What Redis has lost, or something of it, is written anew.
func (k *sessions) touch(c rueidis.Client) error {
	k.mu.Lock()
	all := make([]*handle, 0, len(k.owned))
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

func (k *sessions) touchSome(c rueidis.Client, some []*handle) error {
	do := call{args: []string{ms(2 * k.b.cfg.Recovery)}}
	var asked []*handle
	k.mu.Lock()
	for _, s := range some {
		if s.isCurrent() && s.version > 0 && !k.isMarked(s) {
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
			k.mark(s)
			k.mu.Unlock()
		}
	}
	return nil
}
