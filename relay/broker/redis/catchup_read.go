package redis

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// How the streams are read. Answers of readAhead bytes together are asked for at a time: that is what a
// distant Redis can fill a round trip with. One answer has no more than comes in a moment, also on a
// slow way: the connection would be taken for dead otherwise.
const (
	readRooms   = 64       // rooms in one call
	readAhead   = 8 << 20  // bytes
	minAnswer   = 64 << 10 // bytes; a message that is larger comes alone
	firstAnswer = 256 << 10
	maxAnswer   = 4 << 20
	answerTime  = 1500 * time.Millisecond // that an answer may take, for the next to be as large
	maxPending  = 32 << 20                // bytes that were read and can't be delivered yet, before only the rooms that hold them up are read
)

// chunk is rooms that are read in one call.
type chunk struct {
	rooms     []*missing
	subscribe bool // and subscribed to, first
	newest    bool
	budget    int // bytes of the answer
}

// grown is how many bytes the next answer may have, after one of this chunk's took so long.
func (c chunk) grown(took time.Duration) int {
	switch {
	case took > answerTime:
		return max(c.budget/2, minAnswer)
	case 4*took < answerTime:
		return min(4*c.budget, maxAnswer)
	case 2*took < answerTime:
		return min(2*c.budget, maxAnswer)
	}
	return c.budget
}

// answer is what one call brought.
type answer struct {
	chunk chunk
	took  time.Duration
	epoch string // the feed's, and the highest position known in it, as Redis was asked
	known uint64
	now   tail
	found []found // as many of the rooms as the budget allowed
	err   error
}

// readAll keeps calls under way until all rooms are read, or it is clear that they can't be. It
// fails if none of the calls is answered within callTimeout.
func (u *catchUp) readAll() error {
	ctx, cancel := context.WithCancel(u.f.b.ctx)
	defer cancel()
	dead := time.AfterFunc(callTimeout, cancel)
	defer dead.Stop()
	answers, under, bytes := make(chan answer), 0, 0
	var failed error
	if u.subscribe {
		u.revoked = make(chan error, 1)
		progress := func() {
			u.f.answered()
			dead.Reset(callTimeout)
		}
		go func() { u.revoked <- u.f.b.revoked.read(ctx, u.c, u.f.b.keys.revocations, progress) }()
	}
	for under > 0 || (len(u.queue) > 0 && failed == nil && !u.lost) {
		for failed == nil && !u.lost && len(u.queue) > 0 && (under == 0 || bytes+u.queue[0].budget <= readAhead) {
			next := pop(&u.queue)
			under, bytes = under+1, bytes+next.budget
			go func() { answers <- u.f.b.readChunk(ctx, u.c, next) }()
		}
		if u.revoked != nil { // before anything is delivered
			if failed = u.awaitRevoked(); failed != nil {
				cancel()
			}
			dead.Reset(callTimeout)
		}
		a := <-answers
		under, bytes = under-1, bytes-a.chunk.budget
		dead.Reset(callTimeout)
		for _, m := range a.chunk.rooms {
			m.heard = m.heard || a.chunk.subscribe && a.err == nil
		}
		if failed == nil && !u.lost {
			failed = cmp.Or(a.err, u.take(a))
		}
		if failed != nil || u.lost {
			cancel() // the others' answers are of no use any more
		}
	}
	return failed
}

// subscribeRest subscribes to the rooms that a reading which ended early did not come to: the catch-ups
// that follow on the connection take all for subscribed to.
func (u *catchUp) subscribeRest() error {
	var channels []string
	for _, m := range u.rooms {
		if u.subscribe && m.s != nil && !m.heard {
			channels = append(channels, u.f.b.keys.channel+m.was.room)
		}
	}
	for some := range slices.Chunk(channels, subscribeChunk) {
		ctx, cancel := context.WithTimeout(u.f.b.ctx, callTimeout)
		err := u.c.Do(ctx, u.c.B().Subscribe().Channel(some...).Build().Pin()).Error()
		cancel()
		if err != nil {
			return err
		}
		u.f.answered()
	}
	return nil
}

// awaitRevoked waits until all revocations are known, and lets what is pushed be delivered.
func (u *catchUp) awaitRevoked() error {
	err := <-u.revoked
	u.revoked = nil
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	u.f.revoked = err == nil
	return err
}

// requeue has rooms read next, some in one call.
func (u *catchUp) requeue(rooms []*missing, newest bool, atOnce, budget int) {
	for some := range slices.Chunk(rooms, atOnce) {
		u.queue = append(u.queue, chunk{rooms: some, newest: newest, budget: budget})
	}
	if u.bytes > maxPending { // first those that hold up what was read
		slices.SortStableFunc(u.queue, func(a, b chunk) int { return cmp.Compare(a.rooms[0].frontier, b.rooms[0].frontier) })
	}
}
