package redis_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"setu/relay/broker"
)

// Redis has lost who is in a room, and another relay has begun that anew: whoever hears somebody join
// whom the count does not leave room for looks at once, records those anew who are missing, or who
// stand there for the other relay alone, and has the room told who is there.
func TestRedisMembersLostAndBegunAnew(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, withLease(s, time.Second))
	l := &missedCounter{}
	stop, err := b.Subscribe(t.Context(), "a", l, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	enterIn(t, b, "a", "ann")
	enterIn(t, b, "a", "ben")
	<-time.After(2 * time.Second) // who has begun tells its rooms, too
	told := l.missed.Load()
	ann := s.do(t, "HGET setu{0}:members:a ann")
	lives, json, _ := strings.Cut(ann, "|")
	s.do(t, "DEL setu{0}:members:a")
	s.do(t, "HSET setu{0}:members:a ann", ",another,|"+json)
	s.do(t, "PUBLISH setu{0}:room:a", `j2 {"id":"carl"}`)
	eventually(t, "recorded anew", func() bool {
		return strings.HasPrefix(s.do(t, "HGET setu{0}:members:a ann"), ",another"+lives+"|") && s.do(t, "HGET setu{0}:members:a ben") != ""
	})
	eventually(t, "told", func() bool { return l.missed.Load() > told })
}

// missedCounter counts how often a room is told that changes of presence were missed.
type missedCounter struct {
	counter
	missed atomic.Int32
}

func (m *missedCounter) Presence(ch broker.Change) {
	if ch.Missed {
		m.missed.Add(1)
	}
}
