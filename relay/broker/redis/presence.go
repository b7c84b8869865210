package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
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
	former    []endedLife // lives of ours whose leases were lost, to be taken out
	lostAt    time.Time   // when this life took the place of the last of them
	renewed   time.Time   // when the lease was last renewed
	sure      bool        // the lease was renewed in time, by a Redis that has been there since
	steady    time.Time   // since when it was renewed without a pause
	announced time.Time   // when the fleet was last told of this relay
	touched   time.Time   // when the keys of rooms were last renewed
	writes    uint64      // numbers what this life writes: what comes late must not count
	written   int         // places written since the lease was last to be renewed
	sweep     sweep
	round     []string  // rooms still to be looked at in this round
	roundAt   time.Time // when it began

	evictor *evictor

	// written by run alone, guarded by mu for others to read
	life string // empty: it must begin

	// guarded by mu
	untold   bool // presence changes may have been missed, and the rooms have not been told
	want     map[place]wanted
	parted   map[place]string               // JSON of users who were recorded and have left, as far as that is to be noticed and yet to be written
	inRoom   map[string]map[string]struct{} // users of want that are recorded, by their rooms
	recorded int                            // how many places these are
	doubted  map[string]struct{}            // rooms of inRoom of which Redis may have lost some
	vanished map[string]time.Time           // rooms of which it had, and when that was last found; they are yet to be told who is there
	overflow bool                           // more have left than are kept: a new life must begin
	longHeld bool                           // Redis has held this life for a lease's time: a life that it does not know has ended
	shaken   bool                           // Redis was away: the others get a lease's time to come back
	shakes   uint64                         // how often it was
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
	parted string // of whom has left: the JSON, if it was recorded
}

var (
	errLife = errors.New("the lease was lost")
	errLate = errors.New("a later write came before")
)

func newPresence(b *Broker) *presence {
	return &presence{writeBehind: newWriteBehind[place, entered](b), want: map[place]wanted{}, parted: map[place]string{}, inRoom: map[string]map[string]struct{}{}, doubted: map[string]struct{}{}, vanished: map[string]time.Time{},
		touched: time.Now(), evictor: newEvictor(b)}
}

// Enter implements broker.Broker.
func (b *Broker) Enter(ctx context.Context, room string, user broker.User) (int, error) {
	text := user.Unplaced().Text() // the life says where that is
	at := place{room, user.ID}
	if err := b.feed.ready(); err != nil {
		b.presence.enter(at, text) // it is made good when Redis is back
		return 0, err
	}
	answer := make(chan entered, 1)
	b.presence.enter(at, text, answer)
	a, err := b.presence.await(ctx, at, answer)
	return a.count, cmp.Or(err, a.err)
}

// Leave implements broker.Broker.
func (b *Broker) Leave(room, userID string) { b.presence.leave(place{room, userID}) }

func (p *presence) enter(at place, text string, answer ...chan entered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.state(at, text)
	if _, parted := p.parted[at]; parted {
		p.setNoticed(at)
	}
	p.mark(at, answer...)
}

func (p *presence) leave(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.part(at)
	p.setRecorded(at, false)
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
		p.setRecorded(at, false)
		p.markAgain(at)
	}
}

// setRecorded notes whether Redis holds a user who is here. p.mu is held.
func (p *presence) setRecorded(at place, recorded bool) {
	w, here := p.want[at]
	if !here || w.recorded == recorded {
		return
	}
	w.recorded = recorded
	p.want[at] = w
	users := p.inRoom[at.room]
	if recorded {
		if users == nil {
			users = map[string]struct{}{}
			p.inRoom[at.room] = users
		}
		users[at.user] = struct{}{}
		p.recorded++
		return
	}
	p.recorded--
	if delete(users, at.user); len(users) == 0 {
		delete(p.inRoom, at.room)
		delete(p.doubted, at.room)
	}
}

// giveUp forgets a mark, and answers whoever entered and left at once. p.mu is held.
func (p *presence) giveUp(at place) {
	marked[place, entered]{at, p.marks[at]}.answer(entered{err: broker.ErrUnavailable})
	p.forget(at)
	delete(p.parted, at)
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
		steps[i] = step{m, text, states, p.takeParted(m.key)}
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
	p.writes++
	p.written += len(work)
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	return errors.Join(p.writeLeaves(ctx, c, leave), p.writeEnters(ctx, c, enter))
}

func (p *presence) writeLeaves(ctx context.Context, c rueidis.Client, leave []step) (failed error) {
	if len(leave) == 0 {
		return nil
	}
	places, parted := make([]place, len(leave)), map[place]string{}
	for i, s := range leave {
		places[i], parted[s.key] = s.key, s.parted
	}
	left, err := p.b.leaveScript().run(ctx, c, p.b.leaving(p.life, strconv.FormatUint(p.writes, 10), places, parted))[0].AsInt64()
	if err == nil && left < 0 {
		err = errLate
	}
	if err != nil {
		p.b.feed.noteRefusal(err)
		failed = p.giveBack(leave, err)
	}
	for _, s := range leave {
		s.answer(entered{err: broker.ErrUnavailable}) // entered and left at once
	}
	return failed
}

// enterBatch is how many users enter by one call.
const enterBatch = 128

func (p *presence) writeEnters(ctx context.Context, c rueidis.Client, enter []step) (failed error) {
	if len(enter) == 0 {
		return nil
	}
	var calls []call
	for some := range slices.Chunk(enter, enterBatch) {
		calls = append(calls, p.entering(some))
	}
	results := p.b.enterScript().run(ctx, c, calls...)
	p.b.notices.look()
	for some := range slices.Chunk(enter, enterBatch) {
		answers, err := results[0].ToArray()
		results = results[1:]
		for i, s := range some {
			if err := p.entered(s, answers, i, err); err != nil {
				failed = err
			}
		}
	}
	return failed
}

// entering has users enter.
func (p *presence) entering(some []step) call {
	k := p.b.keys
	do := call{keys: []string{k.lives, k.life + p.life, k.write + p.life}, args: []string{p.life, ms(membersTTL), strconv.FormatUint(p.writes, 10)}}
	keys := p.b.notices.keyNumbers(&do)
	for _, s := range some {
		at := s.key
		do.args = append(do.args, keys.of(&do, k.membersOf(at.room)), k.channel+at.room, at.room, at.user, s.text, flag(s.states))
	}
	if p.b.notices.on {
		do.args = append(do.args, onlineRoom, p.b.notices.newestFence())
	}
	return do
}

// entered takes what Redis said of those who entered by one call, of whom s is one.
func (p *presence) entered(s step, answers []rueidis.RedisMessage, i int, err error) error {
	a, err := parseEntered(answers, i, err)
	switch {
	case err != nil:
		p.b.feed.noteRefusal(err)
	case a.count == -1:
		if err = errLife; p.life != "" {
			p.lose()
		}
	case a.count < 0:
		err = errLate
	}
	if err != nil {
		err = p.giveBack([]step{s}, err)
	}
	if a.name != "" {
		p.b.feed.tellRenamed(s.key.room, a.count, a.name)
	}
	if err == nil {
		p.record(s.key, a.count)
	}
	s.answer(entered{a.count, unavailable(err)})
	return err
}

// giveBack marks work again, for the next time.
func (p *presence) giveBack(work []step, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range work {
		p.markAgain(s.key)
		p.giveBackName(s)
		p.giveBackParted(s)
	}
	return err
}
