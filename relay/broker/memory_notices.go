package broker

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"
)

// noticePoll is how often a Memory looks for who has been gone for the grace.
const noticePoll = 250 * time.Millisecond

// memoryNotices are the notices of a Memory. All of it is guarded by Memory.mu.
type memoryNotices struct {
	limits NoticeLimits

	wake    chan struct{}        // something waits
	fence   uint64               // the last one
	online  map[string]string    // JSON of those who are connected, by id
	told    map[string]string    // subjects that were noticed to be there: the JSON of a user
	left    map[string]time.Time // subjects that are gone, and were not noticed to be
	waiting map[string][]queued  // by subject, the oldest first: the first may be taken, or was
	turns   []string             // subjects of waiting, in the order of their turns
	dead    []DeadNotice         // the oldest first
	died    int                  // how many have
}

// queued is a notice that waits, or was taken.
type queued struct {
	Notice
	since time.Time // since when it is tried
	until time.Time // it is not taken before
}

func newMemoryNotices(l NoticeLimits) memoryNotices {
	return memoryNotices{limits: l, wake: make(chan struct{}, 1), online: map[string]string{}, told: map[string]string{},
		left: map[string]time.Time{}, waiting: map[string][]queued{}}
}

// Online implements Broker.
func (b *Memory) Online(user User) {
	text := user.Text()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && b.notices.limits.On {
		b.notices.online[user.ID] = text
		b.notices.came(UserSubject(user.ID), text)
	}
}

// Offline implements Broker.
func (b *Memory) Offline(userID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, online := b.notices.online[userID]; online && !b.closed {
		delete(b.notices.online, userID)
		b.notices.went(UserSubject(userID))
	}
}

// came notes that a subject is there.
func (m *memoryNotices) came(subject, user string) {
	if !m.limits.On {
		return
	}
	delete(m.left, subject)
	_, told := m.told[subject]
	if m.told[subject] = user; !told {
		m.queue(NoticeOf(subject, true, user), time.Now())
	}
}

// went notes that a subject is gone.
func (m *memoryNotices) went(subject string) {
	if m.limits.On {
		m.left[subject] = time.Now()
	}
}

// watchLeft notices who is gone, until the broker closes.
func (b *Memory) watchLeft() {
	tick := time.NewTicker(noticePoll)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.mu.Lock()
			b.notices.fall()
			b.mu.Unlock()
		}
	}
}

// fall notices those who have been gone for the grace.
func (m *memoryNotices) fall() {
	until := time.Now().Add(-m.limits.Grace)
	var gone []string
	for subject, at := range m.left {
		if !at.After(until) {
			gone = append(gone, subject)
		}
	}
	slices.SortFunc(gone, func(x, y string) int { return cmp.Or(m.left[x].Compare(m.left[y]), cmp.Compare(x, y)) })
	for _, subject := range gone {
		n := NoticeOf(subject, false, m.told[subject])
		at := m.left[subject]
		delete(m.told, subject)
		delete(m.left, subject)
		m.queue(n, at)
	}
}

// queue has a notice told that came to be so at a time. Of more than may wait it is dead at once.
func (m *memoryNotices) queue(n Notice, at time.Time) {
	m.fence = max(uint64(time.Now().UnixMicro()), m.fence+1)
	n.At, n.Fence, n.ID = at.UnixMilli(), m.fence, noticeID(n.Claim.Subject, m.fence)
	m.wait(queued{Notice: n, since: time.Now()})
}

func (m *memoryNotices) wait(q queued) {
	subject := q.Claim.Subject
	behind := m.waiting[subject]
	if len(behind) >= maxWaitingOf || len(behind) == 0 && len(m.waiting) >= MaxWaiting {
		m.die(q, "too many wait")
		return
	}
	if m.waiting[subject] = append(behind, q); len(behind) == 0 {
		m.turns = append(m.turns, subject)
	}
	m.nudge()
}

// maxWaitingOf bounds the notices that wait of one subject.
const maxWaitingOf = MaxWaitingOf / 128

func (m *memoryNotices) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *memoryNotices) die(q queued, why string) {
	m.died++
	if m.dead = append(m.dead, DeadNotice{q.Notice, strconv.Itoa(m.died), why}); len(m.dead) > MaxDead {
		m.dead = slices.Clone(m.dead[1:])
	}
}

// TakeNotices implements Broker.
func (b *Memory) TakeNotices(ctx context.Context, most int) ([]Notice, error) {
	for {
		b.mu.Lock()
		some, closed := b.notices.take(most), b.closed
		b.mu.Unlock()
		switch {
		case closed:
			return nil, ErrClosed
		case len(some) > 0:
			return some, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.stop:
		case <-b.notices.wake:
		case <-time.After(noticePoll):
		}
	}
}

func (m *memoryNotices) take(most int) (some []Notice) {
	now := time.Now()
	for i, subject := range m.turns {
		q := &m.waiting[subject][0]
		if len(some) == most {
			m.turns = append(m.turns[i:], m.turns[:i]...)
			break
		}
		if q.until.After(now) {
			continue
		}
		q.until = now.Add(m.limits.ClaimTime())
		n := q.Notice
		n.Claim.Age, n.Claim.Taken, n.Claim.Until = now.Sub(q.since), now, q.until
		some = append(some, n)
	}
	return some
}

// head returns the notice that n is, if it is the first of its subject still.
func (m *memoryNotices) head(n Notice) *queued {
	all := m.waiting[n.Claim.Subject]
	if len(all) == 0 || all[0].Fence != n.Fence {
		return nil
	}
	return &all[0]
}

// settle takes a notice out, and has the next of its subject told.
func (m *memoryNotices) settle(subject string) {
	m.turns = slices.DeleteFunc(m.turns, func(s string) bool { return s == subject })
	if m.waiting[subject] = m.waiting[subject][1:]; len(m.waiting[subject]) == 0 {
		delete(m.waiting, subject)
		return
	}
	m.turns = append(m.turns, subject)
	m.nudge()
}

// AckNotice implements Broker.
func (b *Memory) AckNotice(_ context.Context, n Notice) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if b.notices.head(n) != nil {
		b.notices.settle(n.Claim.Subject)
	}
	return nil
}

// RetryNotice implements Broker.
func (b *Memory) RetryNotice(_ context.Context, n Notice, pause time.Duration, why string) (dead bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, ErrClosed
	}
	q := b.notices.head(n)
	switch {
	case q == nil:
	case time.Since(q.since) >= b.notices.limits.Keep:
		b.notices.die(*q, why)
		b.notices.settle(n.Claim.Subject)
		return true, nil
	default:
		q.until = time.Now().Add(min(pause, NoticePause))
	}
	return false, nil
}

// DeadNotices implements Broker.
func (b *Memory) DeadNotices(_ context.Context, before string, limit int) (some []DeadNotice, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	until, err := strconv.Atoi(cmp.Or(before, "0"))
	if err != nil {
		return nil, ErrNoNotice
	}
	for _, d := range slices.Backward(b.notices.dead) {
		at, _ := strconv.Atoi(d.Dead)
		if len(some) < limit && (until == 0 || at < until) {
			some = append(some, d)
		}
	}
	return some, nil
}

// ResendNotice implements Broker.
func (b *Memory) ResendNotice(_ context.Context, dead string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	i := slices.IndexFunc(b.notices.dead, func(d DeadNotice) bool { return d.Dead == dead })
	if i < 0 {
		return ErrNoNotice
	}
	d := b.notices.dead[i]
	b.notices.dead = slices.Delete(b.notices.dead, i, i+1)
	b.notices.wait(queued{Notice: d.Notice, since: time.Now()})
	return nil
}
