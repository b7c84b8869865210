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
		due = p.renew(c) != nil
	}
	if !due && p.write(c) == nil && time.Since(p.touched) > touchInterval {
		p.touched = time.Now()
		p.touch(c)
	}
	return due
}

// renew prolongs the lease, or begins a new life if it is gone, and takes out the lives that
// have ended.
func (p *presence) renew(c rueidis.Client) error {
	var ended []string
	if p.life != "" {
		held, others, err := p.lease(c, p.life, false)
		if err != nil {
			return err
		}
		if ended = others; !held {
			p.lose()
		}
	}
	if p.life == "" {
		life := newEpoch()
		if _, _, err := p.lease(c, life, true); err != nil {
			return err
		}
		p.life = life
		p.markAll()
	}
	failed := p.b.announce(p.b.ctx, c)
	if err := p.write(c); err != nil {
		return err
	}
	if p.isSteady() {
		ended = append(ended, p.former...)
	} else {
		ended = p.former
	}
	for _, life := range ended {
		if err := p.takeOut(c, life); err != nil {
			return err
		}
	}
	p.former = nil
	return failed
}

// isSteady reports whether this relay has renewed its lease without a pause for a lease's time.
// Whoever has just come back takes nobody else out: if Redis was away, it was so for the others,
// too, and they get the same time to come back.
func (p *presence) isSteady() bool {
	now, lease := time.Now(), p.b.cfg.Lease
	if now.Sub(p.renewed) > lease/2 {
		p.steady = now
	}
	p.renewed = now
	return now.Sub(p.steady) >= lease
}

// lose ends this life: Redis has lost its lease, or has let it run out.
func (p *presence) lose() {
	p.b.log.Warn("the presence lease was lost: this relay's users are announced anew")
	p.former, p.life = append(p.former, p.life), ""
	p.b.feed.doubtStore()
	p.check()
}

// lease runs the lease script; ended are lives, of whatever relay, whose leases have ended.
func (p *presence) lease(c rueidis.Client, life string, begin bool) (held bool, ended []string, err error) {
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	out, err := leaseScript.run(ctx, c, call{
		keys: []string{p.b.keys.lives, p.b.keys.life + life},
		args: []string{life, ms(p.b.cfg.Lease), flag(begin), ms(membersTTL)},
	})[0].AsStrSlice()
	if err != nil || len(out) == 0 {
		return false, nil, errors.Join(err, broker.ErrUnavailable)
	}
	return out[0] == "1", out[1:], nil
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// takeOut removes all that a life has left in rooms.
func (p *presence) takeOut(c rueidis.Client, life string) error {
	ctx, cancel := context.WithTimeout(p.b.ctx, callTimeout)
	defer cancel()
	return p.takeOutUntil(ctx, c, life)
}

func (p *presence) takeOutUntil(ctx context.Context, c rueidis.Client, life string) error {
	for {
		left, err := leaveScript.run(ctx, c, p.leaving(life))[0].AsInt64()
		if err != nil || left == 0 {
			return err
		}
	}
}

func (p *presence) leaving(life string, pairs ...string) call {
	k := p.b.keys
	return call{keys: []string{k.lives, k.life + life}, args: append([]string{life, k.members, k.channel}, pairs...)}
}

// retire takes this relay's users out of all rooms. Whoever has come back over another relay stays.
func (p *presence) retire(ctx context.Context) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.b.cancel()
	p.stop()
	lives := p.former
	if p.life != "" {
		lives = append(lives, p.life)
	}
	c := p.b.client.Load()
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	p.b.withdraw(ctx, *c)
	for _, life := range lives {
		if err := p.takeOutUntil(ctx, *c, life); err != nil {
			p.b.log.Warn("cannot announce that this relay's users leave; its lease will", "error", p.b.redact(err))
			return
		}
	}
}
