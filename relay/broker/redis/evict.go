package redis

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// How what a life has left is taken out.
const (
	evictPage  = 2048 // places read in one trip
	evictBatch = 128  // places in one call; those of one page go out together
	maxEvicted = 64   // lives that wait; those that are left out are found again
)

// evictor takes out what lives have left whose leases have ended. It does so on a goroutine of its
// own: with many places and a distant Redis that takes a while, in which this relay's own lease is to
// be renewed, and its users enter and leave.
type evictor struct {
	b    *Broker
	wake chan struct{}

	mu      sync.Mutex // guards what follows
	waiting []endedLife
	failed  []endedLife // to be tried again
	current string
}

// endedLife is a life to be taken out, unless Redis was away once more than so many times: it may have come
// back as it was before those who are here were recorded under others.
type endedLife struct {
	life   string
	left   []place // of what it has left, what is known beside what Redis lists
	shakes uint64
	parted map[place]string // of left, the JSON of users who were recorded, if that is to be noticed
}

// know adds to what is known of what the life has left. The same people are found in each list that is read.
func (l *endedLife) know(more endedLife) {
	for _, at := range more.left {
		if !slices.Contains(l.left, at) {
			l.left = append(l.left, at)
		}
	}
	if l.parted == nil {
		l.parted = more.parted
	}
}

func newEvictor(b *Broker) *evictor { return &evictor{b: b, wake: make(chan struct{}, 1)} }

// addAll has lives taken out, and those that could not be before.
func (e *evictor) addAll(shakes uint64, lives []string) {
	e.mu.Lock()
	again := e.failed
	e.failed = nil
	e.mu.Unlock()
	for _, life := range lives {
		again = append(again, endedLife{life: life})
	}
	e.add(shakes, again...)
}

// add has lives taken out, if they are not about to be.
func (e *evictor) add(shakes uint64, lives ...endedLife) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range lives {
		i := slices.IndexFunc(e.waiting, func(w endedLife) bool { return w.life == l.life })
		switch {
		case i >= 0:
			e.waiting[i].know(l)
		case l.life == e.current && len(l.left) == 0 || len(e.waiting) >= maxEvicted:
		default:
			l.shakes = shakes
			e.waiting = append(e.waiting, l)
			nudge(e.wake)
		}
	}
}

func (e *evictor) next() (l endedLife) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) > 0 {
		l = pop(&e.waiting)
	}
	e.current = l.life
	return l
}

// fail notes that a life could not be taken out: it is tried again when leases are next looked at.
// Others than this relay's own are found then in any case; of its own Redis may have lost the lease.
func (e *evictor) fail(l endedLife) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.failed) < maxEvicted {
		e.failed = append(e.failed, l)
	}
}

// run takes lives out until the broker closes.
func (e *evictor) run() {
	for {
		select {
		case <-e.b.ctx.Done():
			return
		case <-e.wake:
		}
		for l := e.next(); l.life != ""; l = e.next() {
			c, err := e.b.use()
			if err == nil {
				err = e.b.evict(e.b.ctx, c, l, func() bool { return e.b.presence.isSettledSince(l.shakes) })
			}
			if err != nil {
				e.fail(l)
			}
		}
	}
}

// errUnsettled: Redis has been away, and may have come back as it was long ago: who is there now may stand
// under lives that have ended since.
var errUnsettled = errors.New("the store was away")

// evict removes all that a life has left in rooms, for as long as may holds. Scanning a set finds all that
// stays in it, but this takes out of it what was found, and others may do the same: what is left is
// scanned again.
func (b *Broker) evict(ctx context.Context, c rueidis.Client, l endedLife, may func() bool) error {
	life := l.life
	for some := range slices.Chunk(l.left, evictPage) {
		if !may() {
			return errUnsettled
		}
		if _, err := b.takeOut(ctx, c, life, some, l.parted); err != nil {
			return err
		}
	}
	cursor, left, before := uint64(0), int64(math.MaxInt64), int64(math.MaxInt64)
	for left > 0 {
		if cursor == 0 {
			if left == before && left != math.MaxInt64 {
				return errors.New("what a life has left can't be taken out") // no relay wrote it
			}
			before = left
		}
		if !may() {
			return errUnsettled
		}
		places, next, err := b.places(ctx, c, life, cursor)
		if err != nil {
			return err
		}
		if cursor = next; !may() {
			return errUnsettled
		}
		if left, err = b.takeOut(ctx, c, life, places, nil); err != nil {
			return err
		}
	}
	return nil
}

// takeOut takes users out of rooms for a life that has ended, and ends it if nothing is left of it. It
// returns how many are.
func (b *Broker) takeOut(ctx context.Context, c rueidis.Client, life string, places []place, parted map[place]string) (left int64, err error) {
	calls := []call{b.leaving(life, "", nil, nil)}
	for some := range slices.Chunk(places, evictBatch) {
		calls = append(calls, b.leaving(life, "", some, parted))
	}
	for _, r := range b.runWithin(ctx, c, b.leaveScript(), calls) {
		if left, err = r.AsInt64(); err != nil {
			return left, err
		}
	}
	return left, nil
}

// dispel has those taken out of a room who stand there for lives that Redis does not know. It is how a
// life's people go if Redis has lost the set of them.
func (p *presence) dispel(room string, ghosts []ghost) {
	if len(ghosts) == 0 {
		return
	}
	p.mu.Lock()
	judges, shakes := p.longHeld, p.shakes
	p.mu.Unlock()
	if !judges {
		return
	}
	left := map[string][]place{}
	for _, g := range ghosts {
		for life := range strings.SplitSeq(strings.Trim(g.lives, ","), ",") {
			left[life] = append(left[life], place{room, g.user})
		}
	}
	for life, places := range left {
		p.evictor.add(shakes, endedLife{life: life, left: places})
	}
}

// runWithin runs a script within callTimeout.
func (b *Broker) runWithin(ctx context.Context, c rueidis.Client, s script, calls []call) []rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.run(ctx, c, calls...)
}

// places reads some of the places that are recorded under a life, from a cursor on; the next is 0 if
// they are the last.
func (b *Broker) places(ctx context.Context, c rueidis.Client, life string, cursor uint64) (some []place, next uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	page, err := c.Do(ctx, c.B().Sscan().Key(b.keys.life+life).Cursor(cursor).Count(evictPage).Build()).AsScanEntry()
	if err != nil {
		return nil, 0, err
	}
	places := make([]place, 0, len(page.Elements))
	for _, pair := range page.Elements {
		room, user, _ := strings.Cut(pair, "\x00")
		places = append(places, place{room, user})
	}
	return places, page.Cursor, nil
}

// keyNumbers numbers the keys that a call has behind its first three, as its arguments name them.
type keyNumbers map[string]string

func (k keyNumbers) of(do *call, key string) string {
	if k[key] == "" {
		do.keys = append(do.keys, key)
		k[key] = strconv.Itoa(len(do.keys) - 3)
	}
	return k[key]
}

// leaving takes users out of rooms for a life; number is that of the write, or empty if the life has
// ended. parted has the JSON of those who were recorded, as far as that is known here.
func (b *Broker) leaving(life, number string, places []place, parted map[place]string) call {
	do := call{keys: []string{b.keys.lives, b.keys.life + life, b.keys.write + life}, args: []string{life, number}}
	keys := b.notices.keyNumbers(&do)
	for _, at := range places {
		do.args = append(do.args, keys.of(&do, b.keys.membersOf(at.room)), b.keys.channel+at.room, at.room, at.user)
		if b.notices.on {
			do.args = append(do.args, parted[at])
		}
	}
	if b.notices.on {
		do.args = append(do.args, onlineRoom)
	}
	return do
}
