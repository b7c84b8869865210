package broker

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// presence keeps what Redis knows of this relay's users in step with what is so here. It does not queue what happened: it
// marks what may differ, and writes what is so now, many in one trip; what could not be written stays marked.
//
// All that a relay wrote stands under its life, which has one lease. Where the lease was lost (Redis was emptied, this
// process slept), a new life begins, everything is written anew and the former life is taken out: whoever is still here
// stays, without a flicker, and a leave that Redis never took is made good.
type presence struct {
	b    *Redis
	wake chan struct{}

	// owned by run; retire uses them after run has ended
	life   string        // empty: it must begin
	former []string      // lives of ours whose leases were lost, to be taken out
	done   chan struct{} // closed when run has ended

	mu    sync.Mutex
	want  map[place]string // JSON of the user
	dirty map[place][]chan entered
	due   bool // the lease is to be renewed
	ended bool
}

type place struct{ room, user string }

type entered struct {
	count int
	err   error
}

const presenceBatch = 256

var errLife = errors.New("the lease was lost")

func newPresence(b *Redis) *presence {
	return &presence{b: b, wake: make(chan struct{}, 1), done: make(chan struct{}),
		want: map[place]string{}, dirty: map[place][]chan entered{}}
}

func (p *presence) nudge() { nudge(p.wake) }

// check has the lease looked at: Redis was away, and may have lost it.
func (p *presence) check() {
	p.mu.Lock()
	p.due = true
	p.mu.Unlock()
	p.nudge()
}

func (p *presence) takeDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.due
	p.due = false
	return due
}

// Enter implements Broker.
func (b *Redis) Enter(ctx context.Context, room string, user User) (int, error) {
	text, err := json.Marshal(user)
	if err != nil {
		return 0, err
	}
	answer := make(chan entered, 1)
	b.presence.mark(place{room, user.ID}, string(text), answer)
	if b.feed.ready() != nil {
		return 0, ErrUnavailable // it is made good when Redis is back
	}
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	select {
	case a := <-answer:
		return a.count, a.err
	case <-ctx.Done():
		return 0, unavailable(ctx.Err())
	}
}

// Leave implements Broker.
func (b *Redis) Leave(room, userID string) { b.presence.mark(place{room, userID}, "", nil) }

// mark says that a user is in a room (text is not empty) or not.
func (p *presence) mark(at place, text string, answer chan entered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	waiting := p.dirty[at]
	if text == "" {
		delete(p.want, at)
	} else {
		p.want[at] = text
		waiting = append(waiting, answer)
	}
	p.dirty[at] = waiting
	p.nudge()
}

// run renews the lease, takes out lives whose leases have ended, and writes what is marked.
func (p *presence) run() {
	defer p.b.wg.Done()
	defer close(p.done)
	renew := time.NewTicker(max(p.b.cfg.Lease/3, 10*time.Millisecond))
	defer renew.Stop()
	touched := time.Now()
	for due := true; ; {
		if c, err := p.b.use(); err == nil && p.b.feed.ready() == nil {
			due = p.takeDue() || due
			if due || p.life == "" {
				due = p.renew(c) != nil
			}
			if !due && p.write(c) == nil && time.Since(touched) > touchInterval {
				touched = time.Now()
				p.touch(c)
			}
		}
		select {
		case <-p.b.ctx.Done():
			return
		case <-renew.C:
			due = true
		case <-p.wake:
		}
	}
}

// renew prolongs the lease, or begins a new life where it is gone, and takes out the lives that have ended.
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
	if err := p.write(c); err != nil {
		return err
	}
	if p.b.feed.since() < p.b.cfg.Lease {
		ended = nil // Redis was away for the others, too: they get a lease's time to come back
	}
	for _, life := range append(ended, p.former...) {
		if err := p.takeOut(c, life); err != nil {
			return err
		}
	}
	p.former = nil
	return nil
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
	flag := "0"
	if begin {
		flag = "1"
	}
	out, err := leaseScript.run(ctx, c, call{
		keys: []string{p.b.keys.lives, p.b.keys.life + life},
		args: []string{life, ms(p.b.cfg.Lease), flag, ms(membersTTL)},
	})[0].AsStrSlice()
	if err != nil || len(out) == 0 {
		return false, nil, errors.Join(err, ErrUnavailable)
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

func (p *presence) markAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.want {
		p.again(at)
	}
}

// again marks at, and keeps who waits for it. p.mu is held.
func (p *presence) again(at place) {
	if _, marked := p.dirty[at]; !marked {
		p.dirty[at] = nil
	}
}

// write brings Redis in step with what is marked.
func (p *presence) write(c rueidis.Client) error {
	for p.life != "" {
		work := p.take()
		if len(work) == 0 {
			return nil
		}
		if err := p.writeBatch(c, work); err != nil {
			return err
		}
	}
	return errLife
}

// step is one mark on its way to Redis.
type step struct {
	place
	text    string // empty: he left
	waiting []chan entered
}

func (p *presence) take() (work []step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, waiting := range p.dirty {
		if len(work) == presenceBatch {
			p.nudge()
			break
		}
		work = append(work, step{at, p.want[at], waiting})
		delete(p.dirty, at)
	}
	return work
}

func (p *presence) writeBatch(c rueidis.Client, work []step) error {
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	var enter, leave []step
	var enters []call
	var pairs []string
	k := p.b.keys
	for _, s := range work {
		if s.text == "" {
			leave, pairs = append(leave, s), append(pairs, s.room+"\x00"+s.user)
			continue
		}
		enter = append(enter, s)
		enters = append(enters, call{
			keys: []string{k.lives, k.members + s.room, k.life + p.life},
			args: []string{p.life, s.user, s.text, s.room, k.channel + s.room, ms(membersTTL)},
		})
	}
	var failed error
	if len(leave) > 0 {
		if err := leaveScript.run(ctx, c, p.leaving(p.life, pairs...))[0].Error(); err != nil {
			failed = p.giveBack(leave, err)
		}
		answer(leave, entered{err: ErrUnavailable}) // he entered and left at once
	}
	if len(enter) == 0 {
		return failed
	}
	for i, r := range enterScript.run(ctx, c, enters...) {
		count, err := r.AsInt64()
		if err == nil && count < 0 {
			if err = errLife; p.life != "" {
				p.lose()
			}
		}
		if err != nil {
			failed = p.giveBack(enter[i:i+1], err)
		}
		answer(enter[i:i+1], entered{int(count), unavailable(err)})
	}
	return failed
}

// giveBack marks work again, for the next time.
func (p *presence) giveBack(work []step, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range work {
		p.again(s.place)
	}
	return err
}

func answer(work []step, a entered) {
	for _, s := range work {
		for _, w := range s.waiting {
			w <- a
		}
	}
}

// touch renews the keys of the rooms that have users here: each expires, lest a fleet that is gone leave them for ever.
func (p *presence) touch(c rueidis.Client) {
	rooms := map[string]bool{}
	p.mu.Lock()
	for at := range p.want {
		rooms[at.room] = true
	}
	p.mu.Unlock()
	var cmds rueidis.Commands
	for room := range rooms {
		cmds = append(cmds, c.B().Pexpire().Key(p.b.keys.members+room).Milliseconds(membersTTL.Milliseconds()).Build())
	}
	ctx, cancel := context.WithTimeout(p.b.ctx, callTimeout)
	defer cancel()
	c.DoMulti(ctx, cmds...)
}

// retire takes this relay's users out of all rooms. Whoever has come back over another relay stays.
func (p *presence) retire(ctx context.Context) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.b.cancel()
	<-p.done
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
	for _, life := range lives {
		if err := p.takeOutUntil(ctx, *c, life); err != nil {
			p.b.log.Warn("cannot announce that this relay's users leave; its lease will", "error", err)
			return
		}
	}
}

// Members implements Broker, from the client-side cache where that is still valid.
func (b *Redis) Members(ctx context.Context, room string, limit int) ([]string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, 0, err
	}
	do := call{keys: []string{b.keys.members + room}, args: []string{strconv.Itoa(limit)}}
	fields, err := membersScript.cached(ctx, c, do).ToArray()
	if err != nil || len(fields) == 0 {
		return nil, 0, unavailable(errors.Join(err, errors.New("no members")))
	}
	count, err := fields[0].AsInt64()
	if err != nil {
		return nil, 0, unavailable(err)
	}
	var users []string
	for _, f := range fields[1:] {
		entry, err := f.ToString()
		if err != nil {
			return nil, 0, unavailable(err)
		}
		if _, text, ok := strings.Cut(entry, "|"); ok {
			users = append(users, text)
		}
	}
	return users, int(count), nil
}
