package broker

import (
	"testing"
	"time"
)

// Kill ends b as SIGKILL would: without a word.
func (b *Redis) Kill() {
	b.closed.Do(func() {
		b.cancel()
		b.wg.Wait()
		if c := b.client.Load(); c != nil {
			(*c).Close()
		}
	})
}

// MembersTTL is how long a room's members are kept without anybody renewing them.
const MembersTTL = membersTTL

// Judge is the judgement over one room after an outage, for a table of cases.
func Judge(t testing.TB, tail Offset, tailAt int64, oldest Offset, entries []Message, now int64, away, ttl time.Duration) ([]Message, string) {
	t.Helper()
	s := subscription{tail: tail, tailAt: tailAt}
	return s.judge(found{oldest, entries}, newTail(now), away, ttl)
}

func newTail(now int64) (t tail) {
	t.now = now
	return t
}

var (
	ParsePush  = parsePush
	ParseEntry = parseEntry
)

// Rooms counts the rooms of which anything is kept.
func (b *Memory) Rooms() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rooms)
}
