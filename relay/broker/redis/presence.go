package redis

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// presence keeps what Redis knows of this relay's users in step with who is here.
//
// All that a relay wrote stands under its life, which has one lease. When the lease was lost (Redis
// was emptied, this process slept), a new life begins, everything is written anew and the former
// life is taken out: whoever is still here stays, without a flicker, and a leave that Redis never
// took is made good.
type presence struct {
	writeBehind[place, entered]

	// owned by run; retire uses them after run has ended
	life    string    // empty: it must begin
	former  []string  // lives of ours whose leases were lost, to be taken out
	renewed time.Time // when the lease was last renewed
	steady  time.Time // since when it was renewed without a pause
	touched time.Time // when the keys of rooms were last renewed

	// guarded by mu
	want     map[place]wanted
	overflow bool // more have left than are kept: a new life must begin
}

type place struct{ room, user string }

type entered struct {
	count int
	err   error
}

// step is one mark on its way to Redis: who is there now, or has left.
type step struct {
	marked[place, entered]
	text   string // empty: left
	states bool   // text states a name, rather than repeating one
}

var errLife = errors.New("the lease was lost")

func newPresence(b *Broker) *presence {
	return &presence{writeBehind: newWriteBehind[place, entered](b), want: map[place]wanted{}, touched: time.Now()}
}

// Enter implements broker.Broker.
func (b *Broker) Enter(ctx context.Context, room string, user broker.User) (int, error) {
	text, err := json.Marshal(user)
	if err != nil {
		return 0, err
	}
	answer := make(chan entered, 1)
	b.presence.enter(place{room, user.ID}, string(text), answer)
	if err := b.feed.ready(); err != nil {
		return 0, err // it is made good when Redis is back
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

// Leave implements broker.Broker.
func (b *Broker) Leave(room, userID string) { b.presence.leave(place{room, userID}) }

func (p *presence) enter(at place, text string, answer chan entered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.state(at, text)
		p.mark(at, answer)
	}
}

func (p *presence) leave(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	delete(p.want, at)
	if len(p.marks) < len(p.want)+maxPast {
		p.mark(at)
		return
	}
	p.overflow = true
	p.giveUp(at)
	nudge(p.wake)
}

// markAll marks who is here, and nobody else: of a life that begins, nobody has left.
func (p *presence) markAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.overflow = false
	for at := range p.marks {
		if _, here := p.want[at]; !here {
			p.giveUp(at)
		}
	}
	for at := range p.want {
		p.markAgain(at)
	}
}

// giveUp forgets a mark, and answers whoever entered and left at once. p.mu is held.
func (p *presence) giveUp(at place) {
	marked[place, entered]{at, p.marks[at]}.answer(entered{err: broker.ErrUnavailable})
	p.forget(at)
}

func (p *presence) overflowed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.overflow
}

// write brings Redis in step with what is marked.
func (p *presence) write(c rueidis.Client) error {
	if p.life == "" {
		return errLife
	}
	return p.flush(func(work []marked[place, entered]) func() error {
		steps := p.steps(work)
		return func() error { return p.writeBatch(c, steps) }
	})
}

// steps says who of the marked is there now. mu is held.
func (p *presence) steps(work []marked[place, entered]) []step {
	steps := make([]step, len(work))
	for i, m := range work {
		text, states := p.takeName(m.key)
		steps[i] = step{m, text, states}
	}
	return steps
}

func (p *presence) writeBatch(c rueidis.Client, work []step) error {
	var enter, leave []step
	for _, s := range work {
		if s.text == "" {
			leave = append(leave, s)
		} else {
			enter = append(enter, s)
		}
	}
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	return errors.Join(p.writeLeaves(ctx, c, leave), p.writeEnters(ctx, c, enter))
}

func (p *presence) writeLeaves(ctx context.Context, c rueidis.Client, leave []step) (failed error) {
	if len(leave) == 0 {
		return nil
	}
	pairs := make([]string, len(leave))
	for i, s := range leave {
		pairs[i] = s.key.room + "\x00" + s.key.user
	}
	if err := leaveScript.run(ctx, c, p.leaving(p.life, pairs...))[0].Error(); err != nil {
		failed = p.giveBack(leave, err)
	}
	for _, s := range leave {
		s.answer(entered{err: broker.ErrUnavailable}) // entered and left at once
	}
	return failed
}

func (p *presence) writeEnters(ctx context.Context, c rueidis.Client, enter []step) (failed error) {
	if len(enter) == 0 {
		return nil
	}
	k := p.b.keys
	calls := make([]call, len(enter))
	for i, s := range enter {
		calls[i] = call{
			keys: []string{k.lives, k.members + s.key.room, k.life + p.life},
			args: []string{p.life, s.key.user, s.text, s.key.room, k.channel + s.key.room, ms(membersTTL), flag(s.states)},
		}
	}
	for i, r := range enterScript.run(ctx, c, calls...) {
		count, name, err := parseEntered(r)
		if err == nil && count < 0 {
			if err = errLife; p.life != "" {
				p.lose()
			}
		}
		if err != nil {
			failed = p.giveBack(enter[i:i+1], err)
		}
		if name != "" {
			p.b.feed.tellRenamed(enter[i].key.room, count, name)
		}
		enter[i].answer(entered{count, unavailable(err)})
	}
	return failed
}

// giveBack marks work again, for the next time.
func (p *presence) giveBack(work []step, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range work {
		p.markAgain(s.key)
		p.giveBackName(s)
	}
	return err
}
