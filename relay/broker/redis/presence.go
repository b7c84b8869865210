package redis

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// presence keeps what Redis knows of this relay's users in step with what is so here. It does not queue what happened: it
// marks what may differ, and writes what is so now, many in one trip; what could not be written stays marked.
//
// All that a relay wrote stands under its life, which has one lease. Where the lease was lost (Redis was emptied, this
// process slept), a new life begins, everything is written anew and the former life is taken out: whoever is still here
// stays, without a flicker, and a leave that Redis never took is made good.
type presence struct {
	b    *Broker
	wake chan struct{}

	// owned by run; retire uses them after run has ended
	life   string        // empty: it must begin
	former []string      // lives of ours whose leases were lost, to be taken out
	done   chan struct{} // closed when run has ended

	renewed, steady time.Time // when the lease was last renewed; since when without a pause

	mu    sync.Mutex
	want  map[place]wanted
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

func newPresence(b *Broker) *presence {
	return &presence{b: b, wake: make(chan struct{}, 1), done: make(chan struct{}),
		want: map[place]wanted{}, dirty: map[place][]chan entered{}}
}

func (p *presence) nudge() { nudge(p.wake) }

// Enter implements broker.Broker.
func (b *Broker) Enter(ctx context.Context, room string, user broker.User) (int, error) {
	text, err := json.Marshal(user)
	if err != nil {
		return 0, err
	}
	answer := make(chan entered, 1)
	b.presence.mark(place{room, user.ID}, string(text), answer)
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
func (b *Broker) Leave(room, userID string) { b.presence.mark(place{room, userID}, "", nil) }

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
		p.state(at, text)
		waiting = append(waiting, answer)
	}
	p.dirty[at] = waiting
	p.nudge()
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
	text    string // empty: the user left
	states  bool   // text states a name, rather than repeating one
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
		text, states := p.takeName(at)
		work = append(work, step{at, text, states, waiting})
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
			args: []string{p.life, s.user, s.text, s.room, k.channel + s.room, ms(membersTTL), flag(s.states)},
		})
	}
	var failed error
	if len(leave) > 0 {
		if err := leaveScript.run(ctx, c, p.leaving(p.life, pairs...))[0].Error(); err != nil {
			failed = p.giveBack(leave, err)
		}
		answer(leave, entered{err: broker.ErrUnavailable}) // he entered and left at once
	}
	if len(enter) == 0 {
		return failed
	}
	for i, r := range enterScript.run(ctx, c, enters...) {
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
			p.b.feed.tellRenamed(enter[i].room, count, name)
		}
		answer(enter[i:i+1], entered{count, unavailable(err)})
	}
	return failed
}

// giveBack marks work again, for the next time.
func (p *presence) giveBack(work []step, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range work {
		p.again(s.place)
		p.giveBackName(s)
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
