package redis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// noticeSweep compares who was noticed to be there with who is: a relay that writes no notices may have taken
// somebody out, or Redis has lost them without a word.
type noticeSweep struct {
	cursor  uint64
	running bool
	ended   time.Time
}

// run notices who is gone, about once a second, until the broker closes: also while nobody takes notices, for
// they may be back by the time that somebody does.
func (n *notices) run() {
	for {
		select {
		case <-n.b.ctx.Done():
			return
		case <-time.After(noticePoll/2 + rand.N(noticePoll/2)):
		}
		if c, err := n.b.use(); err == nil {
			_ = n.fall(c) // what could not be done is next time
		}
	}
}

// fall looks at those who have left, the earliest first, and at some others in turn. While Redis was away they
// may have come back over relays that have yet to say so.
func (n *notices) fall(c rueidis.Client) error {
	if shakes := n.b.presence.countShakes(); shakes != n.shakes || !n.b.feed.answers() {
		n.shakes, n.calm = shakes, time.Now().Add(formerGrace)
	}
	if time.Now().Before(n.calm) {
		return nil
	}
	ctx, cancel := context.WithTimeout(n.b.ctx, callTimeout)
	defer cancel()
	for again := true; again; {
		left, err := c.Do(ctx, c.B().Zrangebyscore().Key(n.b.keys.notices[leftKey]).Min("-inf").Max("+inf").Limit(0, fallBatch).Build()).AsStrSlice()
		if err != nil {
			return err
		}
		fell, err := n.check(ctx, c, left)
		if err != nil {
			return err
		}
		again = fell == fallBatch
	}
	others, err := n.sweepPage(ctx, c)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(others, fallBatch) {
		if _, err := n.check(ctx, c, some); err != nil {
			return err
		}
	}
	return nil
}

// check looks at subjects, and returns how many of them have been gone for the grace, and are noticed.
func (n *notices) check(ctx context.Context, c rueidis.Client, some []string) (fell int64, err error) {
	if len(some) == 0 {
		return 0, nil
	}
	do := call{keys: slices.Clone(n.b.keys.notices), args: []string{ms(n.b.cfg.Notices.Grace), n.newestFence()}}
	keys := keyNumbers{}
	for _, subject := range some {
		is := placeOf(subject)
		do.args = append(do.args, subject, keys.of(&do, n.b.keys.membersOf(is.room)), is.user)
	}
	if fell, err = fallScript.run(ctx, c, do)[0].AsInt64(); fell > 0 {
		n.look()
	}
	return fell, err
}

// placeOf returns where a subject of notices is: a user among all who are connected, or a room.
func placeOf(subject string) place {
	if id, isUser := strings.CutPrefix(subject, broker.UserSubject("")); isUser {
		return place{onlineRoom, id}
	}
	return place{room: strings.TrimPrefix(subject, broker.RoomSubject(""))}
}

// sweepPage returns the next of those who were noticed to be there, if a sweep is due or under way.
func (n *notices) sweepPage(ctx context.Context, c rueidis.Client) (subjects []string, err error) {
	s := &n.sweep
	if !s.running && time.Since(s.ended) < sweepInterval {
		return nil, nil
	}
	page, err := c.Do(ctx, c.B().Hscan().Key(n.b.keys.notices[toldKey]).Cursor(s.cursor).Count(2*fallBatch).Build()).AsScanEntry()
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(page.Elements); i += 2 {
		subjects = append(subjects, strings.TrimPrefix(page.Elements[i], "?"))
	}
	if s.cursor, s.running = page.Cursor, page.Cursor != 0; !s.running {
		s.ended = time.Now()
	}
	return subjects, nil
}
