package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

var errRevocationsLost = errors.New("revocations were lost while they were read")

// run keeps Redis and this relay in step until the broker closes. What fails is tried again with the
// next health check.
func (r *revocations) run() {
	for {
		select {
		case <-r.b.ctx.Done():
			return
		case <-r.wake:
		}
		c, err := r.b.use()
		if err != nil || !r.b.feed.answers() {
			continue
		}
		if r.isStale() && r.read(r.b.ctx, c, "", func() {}) != nil {
			continue
		}
		if err := r.restore(c); err != nil {
			r.b.feed.noteRefusal(err)
			continue
		}
		r.note(c)
	}
}

func (r *revocations) isStale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale && !r.busy
}

// revokedRead is one answer of revoked.lua.
type revokedRead struct {
	head  version
	now   int64
	known bool // what was held is part of Redis' history
	more  bool
	some  []change
	last  version // of the last one that came, of whatever kind
}

// read reads what came after the version that is held, or all if that is not of Redis' history. With
// a channel, that is subscribed to first, in the same trip. progress is called with each answer. A
// reading that another one has overtaken ends early.
func (r *revocations) read(ctx context.Context, c rueidis.CoreClient, channel string, progress func()) error {
	var channels []string
	if channel != "" {
		channels = []string{channel}
	}
	number, from, begun := r.beginRead(channel != "")
	if !begun {
		return nil
	}
	for first, head := true, (version{}); ; first = false {
		page, err := r.readPage(ctx, c, channels, from)
		if err == nil && page.head.number < head.number {
			err = errRevocationsLost
		}
		if err != nil {
			r.giveUp(number)
			return err
		}
		progress()
		head, channels, from = page.head, nil, version{number: page.last.number}
		if !r.take(number, page, first) || !page.more {
			return nil
		}
	}
}

// beginRead numbers a reading, and returns what to read from. If another is under way, none begins,
// unless it is for a new connection.
func (r *revocations) beginRead(subscribe bool) (number int, from version, begun bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy && !subscribe {
		return 0, from, false
	}
	r.reading++
	r.busy = true
	return r.reading, r.at, true
}

func (r *revocations) giveUp(number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number == r.reading {
		r.busy, r.stale = false, true
	}
}

// readPage makes one trip. A version without a tag is not looked at.
func (r *revocations) readPage(ctx context.Context, c rueidis.CoreClient, channels []string, from version) (out revokedRead, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	k := r.b.keys
	do := call{keys: []string{k.head, k.revoked, k.revokedLog}, args: []string{strconv.FormatUint(from.number, 10), from.tag, strconv.Itoa(r.page)}}
	result, _, err := revokedScript.subscribed(ctx, c, channels, do)
	if err != nil {
		return out, err
	}
	f, err := result.AsStrSlice()
	if err != nil || len(f) < 5 {
		return out, errors.Join(err, errors.New("cannot read the revocations"))
	}
	if err := r.b.checkFormat(f[2]); err != nil {
		return out, err
	}
	out.head, out.known, out.more = parseVersion(f[0]), f[3] == "1", f[4] == "1"
	if out.now, err = strconv.ParseInt(f[1], 10, 63); err != nil {
		return out, err
	}
	for i := 5; i+1 < len(f); i += 2 {
		s, ok := parseChange(f[i], strings.Split(f[i+1], " "))
		if ok {
			out.some = append(out.some, s)
		}
		out.last = s.at
	}
	if out.more && out.last.number == 0 {
		return out, errors.New("revocations that no relay wrote")
	}
	return out, nil
}

// take adds what was read, and reports whether this reading still counts.
func (r *revocations) take(number int, page revokedRead, first bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number != r.reading {
		return false
	}
	r.clock = time.Until(time.UnixMilli(page.now))
	if first && (!page.known || r.at.number == 0) && len(r.held) > 0 { // Redis may have lost any of them
		for subject, h := range r.held {
			h.number = 0
			r.held[subject] = h
		}
		r.unstored = true
	}
	var news []broker.Revocation
	for _, s := range page.some {
		if now, isNews := r.add(s); isNews {
			news = append(news, now)
		}
	}
	r.announce(news)
	if !page.more {
		r.at, r.busy = page.head, false
		r.advance()
		r.stale = len(r.ahead) > 0
		nudge(r.wake)
	}
	return true
}

// restore writes back what Redis has lost.
func (r *revocations) restore(c rueidis.Client) error {
	for some := range slices.Chunk(r.takeUnstored(), restoreBatch) {
		some = r.stillUnstored(some)
		if len(some) == 0 {
			continue // another relay has written them back meanwhile
		}
		ctx, cancel := context.WithTimeout(r.b.ctx, connTimeout)
		numbers, err := storeRevocations(ctx, c, r.b.keys, r.max, some...)
		cancel()
		if err != nil {
			r.restoreLater()
			return err
		}
		if r.restored(some, numbers) {
			r.b.log.Error("Redis has lost revocations, and has no room for them any more", "most", r.max)
			return nil
		}
	}
	return nil
}

// takeUnstored returns what may not be in Redis.
func (r *revocations) takeUnstored() (some []broker.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.unstored || r.busy {
		return nil
	}
	r.unstored = false
	for subject, h := range r.held {
		if is, holds := r.find(subject); holds && h.number == 0 {
			some = append(some, is)
		}
	}
	return some
}

func (r *revocations) restoreLater() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unstored = true
}

func (r *revocations) stillUnstored(some []broker.Revocation) []broker.Revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(some, func(is broker.Revocation) bool {
		h, held := r.held[is.Subject()]
		return !held || h.number != 0
	})
}

// restored notes what was written back, and reports whether Redis had no room for it.
func (r *revocations) restored(some []broker.Revocation, numbers []int64) (full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, is := range some {
		if full = full || numbers[i] == 0; numbers[i] <= 0 {
			continue
		}
		if h, held := r.held[is.Subject()]; held && h.revocation(is.Subject()) == is {
			h.number = uint64(numbers[i])
			r.held[is.Subject()] = h
		}
	}
	return full
}

// note tells Redis which version is held, for who waits for that.
func (r *revocations) note(c rueidis.Client) {
	for {
		r.mu.Lock()
		due, next := r.isUnnoted(), notedVersion{r.life, r.at}
		r.mu.Unlock()
		if !due {
			return
		}
		ctx, cancel := context.WithTimeout(r.b.ctx, connTimeout)
		k := r.b.keys
		done, err := notedScript.run(ctx, c, call{
			keys: []string{k.head, k.revoked, k.revokedLog, k.lives, k.noted},
			args: []string{next.life, strconv.FormatUint(next.at.number, 10), next.at.tag, ms(membersTTL)},
		})[0].AsInt64()
		cancel()
		if err != nil || done != 1 {
			return
		}
		r.mu.Lock()
		r.noted = next
		r.mu.Unlock()
	}
}
