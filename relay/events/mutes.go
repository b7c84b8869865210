package events

import (
	"sync"
	"sync/atomic"
	"time"

	"setu/relay/broker"
)

// mutes are users who may not speak for a while, in a room or anywhere, as the store has told. The zero
// value is of nobody.
type mutes struct {
	some atomic.Bool // there are any: mostly there are none, and every publish asks

	mu  sync.Mutex // guards what follows
	end map[mute]time.Time
}

// mute is where somebody may not speak; room is empty if nowhere.
type mute struct{ user, room string }

// note takes what the store tells of one.
func (ms *mutes) note(r broker.Revocation) {
	end := time.UnixMilli(r.IssuedBefore)
	ms.mu.Lock()
	defer ms.mu.Unlock()
	now := time.Now()
	for m, is := range ms.end {
		if !is.After(now) {
			delete(ms.end, m)
		}
	}
	if end.After(now) {
		if ms.end == nil {
			ms.end = map[mute]time.Time{}
		}
		ms.end[mute{r.Muted, r.Room}] = end
	} else {
		delete(ms.end, mute{r.Muted, r.Room})
	}
	ms.some.Store(len(ms.end) > 0)
}

// left is for how long a user may not speak in a room yet.
func (ms *mutes) left(user, room string) time.Duration {
	if !ms.some.Load() {
		return 0
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	end := ms.end[mute{user, room}]
	if all := ms.end[mute{user, ""}]; all.After(end) {
		end = all
	}
	if end.IsZero() {
		return 0
	}
	return max(0, time.Until(end))
}
