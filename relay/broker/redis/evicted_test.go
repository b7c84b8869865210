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
	b := open(t, withLease(s, 10*time.Second))
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

// Redis has lost where the people of a relay stood that died: they are taken out when a list shows them.
func TestRedisLifeLost(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	died, b := open(t, withLease(s, 4*time.Second)), open(t, withLease(s, 4*time.Second))
	enterIn(t, died, "a", "ann")
	enterIn(t, b, "a", "ben")
	s.do(t, "DEL setu{0}:life:"+strings.Trim(strings.Split(s.do(t, "HGET setu{0}:members:a ann"), "|")[0], ","))
	died.Kill()
	eventually(t, "ann is taken out", func() bool {
		users, count, err := b.MembersNow(t.Context(), "a", 10)
		return err == nil && count == 1 && idOf(users[0]) == "ben"
	})
}

// A relay that begins a new life takes out of the former one whom it knows, whatever Redis has lost.
func TestRedisOwnLifeLost(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, withLease(s, 4*time.Second))
	enterIn(t, b, "a", "ann")
	enterIn(t, b, "a", "ben")
	life := strings.Trim(strings.Split(s.do(t, "HGET setu{0}:members:a ann"), "|")[0], ",")
	s.do(t, "DEL setu{0}:life:"+life)
	s.do(t, "CONFIG SET min-replicas-to-write 1")
	b.Leave("a", "ann")
	<-time.After(6 * time.Second) // the lease ends, and nobody writes that ann has left
	s.do(t, "CONFIG SET min-replicas-to-write 0")
	eventually(t, "ben alone is there, for another life", func() bool {
		return s.do(t, "HLEN setu{0}:members:a") == "1" && !strings.Contains(s.do(t, "HGET setu{0}:members:a ben"), life)
	})
}
