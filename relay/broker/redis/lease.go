package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// turn renews the lease, takes out lives whose leases have ended, and writes what is marked.
func (p *presence) turn(c rueidis.Client, due bool) (stillDue bool) {
	if p.overflowed() && p.life != "" {
		p.lose()
	}
	if due || p.life == "" {
		err := p.renew(c)
		if due = err != nil; due && p.life == "" {
			p.answerAll(entered{err: unavailable(err)}) // nothing can be written for now
		}
	}
	if !due && p.write(c) == nil && time.Since(p.touched) > touchInterval {
		p.touched = time.Now()
		p.touch(c)
	}
	return due
}

// renew prolongs the lease, or begins a new life if it is gone, and has the lives that have ended
// taken out.
func (p *presence) renew(c rueidis.Client) error {
	var ended []string
	shaken, shakes := p.takeShaken()
	p.sure = p.sure && !shaken && time.Since(p.renewed) <= p.b.cfg.Lease/2
	if shaken {
		p.steady, p.announced, p.sweep = time.Now(), time.Time{}, sweep{}
	}
	if life := p.life; life != "" {
		p.written = 0
		l, err := p.lease(c, life, false)
		if err != nil {
			return err
		}
		ended = l.ended
		switch {
		case p.life != life: // it was lost meanwhile
		case !l.held:
			p.lose()
		default:
			if err := p.reconcile(c, l.size); err != nil {
				return err
			}
		}
	}
	if p.life == "" {
		life := newLife(p.b.cfg.Self.Place)
		if _, err := p.lease(c, life, true); err != nil {
			return err
		}
		p.setLife(life)
		p.writes, p.sweep, p.lostAt = 0, sweep{ended: time.Now()}, time.Now()
		p.b.revoked.begin(life)
		p.markAll()
	}
	failed := p.announce(c)
	if err := errors.Join(p.write(c), p.mend(c, p.looks())); err != nil {
		return err
	}
	graced := time.Since(p.lostAt) > min(formerGrace, p.b.cfg.Lease)
	if (graced || len(p.former) == 0) && p.setUntold(false) { // before, a list lacks those whom others have yet to record anew
		p.b.feed.tellMissed()
	}
	p.b.feed.tellMissedIn(p.takeVanished())
	steady := p.isSteady()
	p.setLongHeld(steady)
	settled := p.isSettledSince(shakes) // else it may have gone and come back since it said who ended
	if p.sure = settled && failed == nil; !settled {
		return failed
	}
	if graced {
		p.evictor.add(shakes, p.former...) // now that those who are still here, or elsewhere, are recorded under other lives
		p.former = nil
	}
	if steady {
		p.evictor.addAll(shakes, ended)
	}
	return failed
}

// isSettledSince reports whether Redis has been there since it had been away so many times.
func (p *presence) isSettledSince(shakes uint64) bool {
	if !p.b.feed.answers() { // first: that it was away is noted before it answers
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shakes == shakes
}

// meanwhile runs do, which asks Redis something, and goes on writing what is marked until that is
// answered: who enters a room does not wait for it. But as long as it is not sure that this life's
// lease holds, nothing is written: a life that has ended takes nobody out.
func (p *presence) meanwhile(c rueidis.Client, do func()) {
	if !p.sure {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	for woken := false; ; {
		select {
		case <-p.wake:
			woken = true
			if p.sure {
				_ = p.write(c) // what can't be written stays marked
			}
		case <-done:
			if woken {
				nudge(p.wake) // it may have been for something else, too
			}
			return
		}
	}
}

// announce tells the fleet of this relay, a few times in a lease.
func (p *presence) announce(c rueidis.Client) error {
	if time.Since(p.announced) < p.b.cfg.Lease/3 && !p.b.unlisted.Swap(false) {
		return nil
	}
	p.announced = time.Now()
	var err error
	p.meanwhile(c, func() { err = p.b.announce(p.b.ctx, c) })
	if err != nil {
		p.announced = time.Time{}
		return err
	}
	p.b.noteAnnounced()
	return nil
}

// lookInterval is how often a relay looks for leases that have ended, its own among them: after a
// relay has died, its users leave within a lease and that.
const lookInterval = time.Second

// formerGrace is how long what a relay recorded before it lost its lease stays: its users may be with
// other relays by now, which find out in that time that Redis takes what they write.
const formerGrace = 2 * probeInterval

// isSteady reports whether this relay has renewed its lease without a pause for a lease's time and that
// between two looks, and Redis was there. Whoever has just come back takes nobody else out: if Redis was
// away, it was so for the others, too, and what it holds may be of long ago; they get a lease's time to
// come back, also if their first look fails on a connection that is no more.
func (p *presence) isSteady() bool {
	now, lease := time.Now(), p.b.cfg.Lease
	if now.Sub(p.renewed) > lease/2 {
		p.steady = now
	}
	p.renewed = now
	return now.Sub(p.steady) >= lease+lookInterval
}

// takeShaken reports whether Redis has been away since it was last asked, and how often in all.
func (p *presence) takeShaken() (shaken bool, shakes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	shaken = p.shaken
	p.shaken, p.untold = false, p.untold || shaken
	return shaken, p.shakes
}

// countShakes returns how often Redis has been away.
func (p *presence) countShakes() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shakes
}

// setUntold notes whether the rooms are yet to be told that changes may have been missed, and returns
// whether they were.
func (p *presence) setUntold(untold bool) (was bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, p.untold = p.untold, untold
	return was
}

func (p *presence) setLife(life string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = life
}

// setLongHeld notes whether lives that are not known have ended.
func (p *presence) setLongHeld(longHeld bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longHeld = longHeld && !p.shaken
}

// endLife ends this life. What it has left includes those who are to be taken out and have not been: of
// the set of all, Redis may have lost some.
func (p *presence) endLife() endedLife {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := endedLife{life: p.life, left: make([]place, 0, len(p.want)), parted: p.allParted()}
	for at := range p.want {
		l.left = append(l.left, at)
	}
	for at := range p.marks {
		if _, here := p.want[at]; !here {
			l.left = append(l.left, at)
		}
	}
	p.life, p.longHeld = "", false
	return l
}

// ownLife returns this life, empty if it has not begun.
func (p *presence) ownLife() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// isPartial reports whether Redis may lack people whom others have yet to record anew: all rooms are told
// when that is over.
func (p *presence) isPartial() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.untold || p.shaken
}

// shake notes that Redis was away.
func (p *presence) shake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shaken, p.longHeld = true, false
	p.shakes++
}

// lose ends this life: Redis has lost its lease, or has let it run out.
func (p *presence) lose() {
	p.b.log.Warn("the presence lease was lost: this relay's users are announced anew")
	p.former, p.sure = append(p.former, p.endLife()), false
	p.steady, p.announced = time.Now(), time.Time{}
	p.setUntold(true) // Redis may have forgotten people without a word
	p.b.feed.doubtStore()
	p.check()
}

// leased is what the lease script says: whether the lease holds, how many places are recorded under
// it, and lives, of whatever relay, whose leases have ended.
type leased struct {
	held  bool
	size  int
	ended []string
}

func (p *presence) lease(c rueidis.Client, life string, begin bool) (l leased, err error) {
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	var out []string
	p.meanwhile(c, func() {
		out, err = leaseScript.run(ctx, c, call{
			keys: []string{p.b.keys.lives, p.b.keys.life + life, p.b.keys.write + life, p.b.keys.head, p.b.keys.noted},
			args: []string{life, ms(p.b.cfg.Lease), flag(begin), ms(membersTTL), p.b.revoked.version().String()},
		})[0].AsStrSlice()
	})
	if err != nil || len(out) < 2 {
		p.b.feed.noteRefusal(err)
		return l, errors.Join(err, broker.ErrUnavailable)
	}
	size, err := strconv.Atoi(out[1])
	return leased{out[0] == "1", size, out[2:]}, err
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// retire takes this relay's users out of all rooms. Whoever has come back over another relay stays.
func (p *presence) retire(ctx context.Context) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.b.cancel()
	p.stop()
	lives := append([]endedLife{{life: p.life}}, p.former...) // of the others' lives, others think
	c := p.b.client.Load()
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	p.b.withdraw(ctx, *c)
	for _, l := range lives {
		if l.life == "" {
			continue
		}
		if err := p.b.evict(ctx, *c, l, func() bool { return true }); err != nil {
			p.b.log.Warn("cannot announce that this relay's users leave; its lease will", "error", p.b.redact(err))
			return
		}
	}
}
