package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

const (
	noticePoll   = time.Second // between looks at what others have written; about
	noticesTouch = time.Hour   // between renewals of the keys, which go a week after the last
	fallBatch    = 128         // subjects that one call looks at
)

// notices are those that this relay takes, to tell them.
type notices struct {
	b    *Broker
	on   bool
	wake chan struct{} // this relay has written some

	seen atomic.Uint64 // the newest fence that came by

	turn sync.Mutex // held for one look: they come one after another

	// guarded by turn
	cursor  string    // where the search for what nobody has acked in time goes on
	touched time.Time // when the keys were last renewed

	// owned by run
	shakes uint64    // how often Redis had been away when it was last looked at
	calm   time.Time // from when on who is gone is noticed
	sweep  noticeSweep
}

func newNotices(b *Broker) *notices {
	return &notices{b: b, on: b.cfg.Notices.On, wake: make(chan struct{}, 1), cursor: "0-0", calm: time.Now().Add(formerGrace)}
}

// noticeKeys are the keys of notices, as shared/notices.lua has them.
func noticeKeys(prefix string) (keys []string) {
	keys = append(keys, prefix+"notices")
	for _, name := range []string{"told", "left", "waiting", "turns", "dead"} {
		keys = append(keys, prefix+"notices:"+name)
	}
	return keys
}

// Positions of keys in noticeKeys.
const (
	toldKey  = 1
	leftKey  = 2
	turnsKey = 4
	deadKey  = 5
)

// look has those who wait for notices look: this relay may have written some.
func (n *notices) look() {
	if n.on {
		nudge(n.wake)
	}
}

func (n *notices) newestFence() string { return strconv.FormatUint(n.seen.Load(), 10) }

// saw notes a fence that came by: what is written from here on has a higher one, even if Redis has lost it.
func (n *notices) saw(fence uint64) {
	for {
		if was := n.seen.Load(); was >= fence || n.seen.CompareAndSwap(was, fence) {
			return
		}
	}
}

// TakeNotices implements broker.Broker.
func (b *Broker) TakeNotices(ctx context.Context, most int) ([]broker.Notice, error) {
	for {
		some, again, err := b.notices.take(ctx, most)
		switch {
		case b.ctx.Err() != nil:
			return nil, broker.ErrClosed
		case len(some) > 0 || err != nil:
			return some, unavailable(err)
		case again:
			continue
		}
		pause := time.NewTimer(noticePoll/2 + rand.N(noticePoll/2))
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-b.ctx.Done():
		case <-b.notices.wake:
		case <-pause.C:
		}
		if pause.Stop(); err != nil {
			return nil, err
		}
	}
}

// take asks Redis for notices once. again says that there may be more at once.
func (n *notices) take(ctx context.Context, most int) (some []broker.Notice, again bool, err error) {
	n.turn.Lock()
	defer n.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := n.b.use()
	if err != nil {
		return nil, false, err
	}
	touch := time.Since(n.touched) > noticesTouch
	asked, claim := time.Now(), n.b.cfg.Notices.ClaimTime()
	r := takeScript.run(ctx, c, call{keys: n.b.keys.notices,
		args: []string{strconv.Itoa(most), ms(broker.NoticePause), n.cursor, ms(broker.NoticePause - claim), flag(touch)}})[0]
	taken, err := parseTaken(r, asked, claim)
	if err != nil {
		return nil, false, err
	}
	if touch {
		n.touched = time.Now()
	}
	again = taken.cursor != "0-0"
	n.cursor = taken.cursor
	for _, is := range taken.notices {
		n.saw(is.Fence)
	}
	return taken.notices, again, nil
}

// taken is what the take script says.
type taken struct {
	cursor  string
	notices []broker.Notice
}

// parseTaken reads what the script, which was asked then, answers.
func parseTaken(r rueidis.RedisResult, asked time.Time, claim time.Duration) (t taken, err error) {
	parts, err := r.ToArray()
	if err != nil || len(parts) != 3 {
		return t, errors.Join(err, errors.New("not what a relay's script answers"))
	}
	now, err1 := parts[0].ToString()
	cursor, err2 := parts[1].ToString()
	lines, err3 := parts[2].AsStrSlice()
	at, err4 := strconv.ParseInt(now, 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return t, err
	}
	t = taken{cursor: cursor}
	for ; len(lines) >= 3; lines = lines[3:] {
		is, since, ok := parseNotice(lines[1], lines[2])
		if !ok {
			continue // of a later version, which tells it
		}
		is.Claim.Turn, is.Claim.Taken, is.Claim.Age = lines[0], asked, time.Duration(at-since)*time.Millisecond
		is.Claim.Until = asked.Add(claim)
		t.notices = append(t.notices, is)
	}
	return t, nil
}

// parseNotice reads a notice as scripts write it.
func parseNotice(subject, line string) (n broker.Notice, since int64, ok bool) {
	f := strings.SplitN(line, " ", 7)
	if len(f) != 7 || f[0] != "1" || f[2] != "+" && f[2] != "-" {
		return n, 0, false
	}
	n = broker.NoticeOf(subject, f[2] == "+", f[6])
	n.ID = f[1]
	var err1, err2, err3 error
	n.Fence, err1 = strconv.ParseUint(f[3], 10, 53)
	n.At, err2 = strconv.ParseInt(f[4], 10, 64)
	since, err3 = strconv.ParseInt(f[5], 10, 64)
	return n, since, errors.Join(err1, err2, err3) == nil
}

// AckNotice implements broker.Broker.
func (b *Broker) AckNotice(ctx context.Context, n broker.Notice) error { return b.settle(ctx, n, "") }

// settle ends the turn of a notice that was taken, or that is dead for a reason.
func (b *Broker) settle(ctx context.Context, n broker.Notice, why string) error {
	c, err := b.use()
	if err != nil {
		return err
	}
	do := call{keys: b.keys.notices, args: []string{n.Claim.Turn, n.Claim.Subject, strconv.FormatUint(n.Fence, 10), why}}
	err = b.runWithin(ctx, c, settleScript, []call{do})[0].Error()
	b.notices.look() // the next of its subject
	return unavailable(err)
}

// RetryNotice implements broker.Broker.
func (b *Broker) RetryNotice(ctx context.Context, n broker.Notice, pause time.Duration, why string) (dead bool, err error) {
	if n.Tried() >= b.cfg.Notices.Keep {
		if why == "" {
			why = "not taken"
		}
		return true, b.settle(ctx, n, why)
	}
	c, err := b.use()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	idle := broker.NoticePause - min(max(pause, 0), broker.NoticePause)
	cmd := c.B().Xclaim().Key(b.keys.notices[turnsKey]).Group("relays").Consumer("relays").MinIdleTime("0").Id(n.Claim.Turn).
		Idle(idle.Milliseconds()).Justid().Build()
	return false, unavailable(c.Do(ctx, cmd).Error())
}

// DeadNotices implements broker.Broker.
func (b *Broker) DeadNotices(ctx context.Context, before string, limit int) (some []broker.DeadNotice, err error) {
	c, err := b.use()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	end := "+"
	if before != "" {
		if end = "(" + before; !isTurn(before) {
			return nil, broker.ErrNoNotice
		}
	}
	entries, err := c.Do(ctx, c.B().Xrevrange().Key(b.keys.notices[deadKey]).End(end).Start("-").Count(int64(limit)).Build()).AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, unavailable(err)
	}
	for _, e := range entries {
		if n, _, ok := parseNotice(e.FieldValues["s"], e.FieldValues["n"]); ok {
			some = append(some, broker.DeadNotice{Notice: n, Dead: e.ID, Why: e.FieldValues["w"]})
		}
	}
	return some, nil
}

// ResendNotice implements broker.Broker.
func (b *Broker) ResendNotice(ctx context.Context, dead string) error {
	c, err := b.use()
	switch {
	case err != nil:
		return err
	case !isTurn(dead):
		return broker.ErrNoNotice
	}
	found, err := b.runWithin(ctx, c, resendScript, []call{{keys: b.keys.notices, args: []string{dead}}})[0].AsInt64()
	if err == nil && found == 0 {
		return broker.ErrNoNotice
	}
	b.notices.look()
	return unavailable(err)
}

// isTurn reports whether a text names an entry of a stream.
func isTurn(text string) bool {
	ms, seq, found := strings.Cut(text, "-")
	_, err1 := strconv.ParseUint(ms, 10, 64)
	_, err2 := strconv.ParseUint(seq, 10, 64)
	return found && err1 == nil && err2 == nil
}
