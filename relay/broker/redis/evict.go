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
	failed  []string // to be tried again
	current string
}

// endedLife is a life to be taken out, unless Redis was away once more than so many times: it may have come
// back as it was before those who are here were recorded under others.
type endedLife struct {
	life   string
	shakes uint64
}

func newEvictor(b *Broker) *evictor { return &evictor{b: b, wake: make(chan struct{}, 1)} }

// addAll has lives taken out, and those that could not be before.
func (e *evictor) addAll(shakes uint64, lives ...string) {
	e.mu.Lock()
	again := e.failed
	e.failed = nil
	e.mu.Unlock()
	e.add(shakes, slices.Concat(again, lives)...)
}

// add has lives taken out, if they are not about to be.
func (e *evictor) add(shakes uint64, lives ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, life := range lives {
		waits := slices.ContainsFunc(e.waiting, func(l endedLife) bool { return l.life == life })
		if life != e.current && len(e.waiting) < maxEvicted && !waits {
			e.waiting = append(e.waiting, endedLife{life, shakes})
			nudge(e.wake)
		}
	}
}

func (e *evictor) next() (l endedLife) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) > 0 {
		l, e.waiting = e.waiting[0], e.waiting[1:]
	}
	e.current = l.life
	return l
}

// fail notes that a life could not be taken out: it is tried again when leases are next looked at.
// Others than this relay's own are found then in any case; of its own Redis may have lost the lease.
func (e *evictor) fail(life string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.failed) < maxEvicted {
		e.failed = append(e.failed, life)
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
				err = e.b.evict(e.b.ctx, c, l.life, func() bool { return e.b.presence.isSettledSince(l.shakes) })
			}
			if err != nil {
				e.fail(l.life)
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
func (b *Broker) evict(ctx context.Context, c rueidis.Client, life string, may func() bool) error {
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
		calls := []call{b.leaving(life, "", nil)} // which ends the life if nothing is left
		for some := range slices.Chunk(places, evictBatch) {
			calls = append(calls, b.leaving(life, "", some))
		}
		if cursor = next; !may() {
			return errUnsettled
		}
		for _, r := range b.runWithin(ctx, c, leaveScript, calls) {
			if left, err = r.AsInt64(); err != nil {
				return err
			}
		}
	}
	return nil
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

// leaving takes users out of rooms for a life; number is that of the write, or empty if the life has
// ended.
func (b *Broker) leaving(life, number string, places []place) call {
	do := call{keys: []string{b.keys.lives, b.keys.life + life, b.keys.write + life}, args: []string{life, number}}
	keyOf := map[string]string{}
	for _, at := range places {
		if keyOf[at.room] == "" {
			do.keys = append(do.keys, b.keys.members+at.room)
			keyOf[at.room] = strconv.Itoa(len(do.keys) - 3)
		}
		do.args = append(do.args, keyOf[at.room], b.keys.channel+at.room, at.room, at.user)
	}
	return do
}
