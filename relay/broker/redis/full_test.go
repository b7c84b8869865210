package redis_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// A Redis that is full for longer than a lease costs nobody the lease, and takes those who leave.
// Who enters or joins meanwhile is told so at once, and made good.
func TestRedisFullForLong(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--maxmemory-policy", "noeviction")
	const lease = 5 * time.Second
	b, other := open(t, withLease(s, lease)), open(t, withLease(s, lease))
	enterIn(t, b, "a", "ann")
	enterIn(t, b, "a", "ben")
	enterIn(t, other, "a", "carl")
	kept := b.Keep("ann", broker.Session{}, nothing)
	join(t, kept, "a", b.Head())
	before := s.lives(t)
	s.do(t, "CONFIG SET maxmemory 1mb")
	eventually(t, "noticed", func() bool { return b.Ready() != nil })
	b.Leave("a", "ben")
	<-time.After(2 * lease)
	if now := s.lives(t); !slices.Equal(now, before) {
		t.Errorf("lives were %q, are %q", before, now)
	}
	if now := s.do(t, "HKEYS setu{0}:members:a"); now != "ann\ncarl" && now != "carl\nann" {
		t.Errorf("members %q: ben has left", now)
	}
	refusesAtOnce(t, b, kept)
	s.do(t, "CONFIG SET maxmemory 0")
	waitReady(t, b)
	membersEventually(t, other, "a", "ann", "carl", "dora")
}

// refusesAtOnce checks that nobody who enters or joins waits for a Redis that refuses.
func refusesAtOnce(t *testing.T, b broker.Broker, kept broker.SessionHandle) {
	t.Helper()
	stalls, began := wiretest.WatchStalls(t), time.Now()
	for range 20 {
		if _, err := b.Enter(t.Context(), "a", broker.User{ID: "dora"}); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("enter: %v", err)
		}
		if err := kept.Join(t.Context(), broker.Membership{Room: "b", Since: b.Head()}); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("join: %v", err)
		}
	}
	if d := stalls.Since(began); d > 5*time.Second { // one that waits does so for seconds
		t.Errorf("20 joins took %v", d)
	}
}

// So it is where a primary refuses everything, as without its replicas: leases end then, and those
// who are there stay.
func TestRedisRefusesForLong(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	const lease = 5 * time.Second
	b, other := open(t, withLease(s, lease)), open(t, withLease(s, lease))
	enterIn(t, b, "a", "ann")
	enterIn(t, other, "a", "carl")
	l := changesOf(t, other, "a")
	kept := b.Keep("ann", broker.Session{}, nothing)
	join(t, kept, "a", b.Head())
	s.do(t, "CONFIG SET min-replicas-to-write 1")
	eventually(t, "noticed", func() bool { return b.Ready() != nil && other.Ready() != nil })
	former := s.lives(t)
	<-time.After(lease + time.Second)
	refusesAtOnce(t, b, kept)
	s.do(t, "CONFIG SET min-replicas-to-write 0")
	waitReady(t, b)
	membersEventually(t, other, "a", "ann", "carl", "dora")
	s.awaitTakenOut(t, former)
	if got := l.changes(); !slices.Equal(got, []string{"+dora"}) {
		t.Errorf("heard %q", got)
	}
}

// A Redis that refuses now and then, as one that is all but full does, is told of once, and that it
// is over when it is.
func TestRedisRefusesNowAndThen(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	log := &wiretest.Log{}
	b := openRedis(t, config(s), newLog(log))
	waitReady(t, b)
	for n := range 4 {
		s.do(t, "CONFIG SET min-replicas-to-write 1")
		if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: strconv.Itoa(n)})[0]; !errors.Is(r.Err, broker.ErrUnavailable) {
			t.Errorf("publish: %+v", r)
		}
		s.do(t, "CONFIG SET min-replicas-to-write 0")
		waitReady(t, b)
	}
	eventually(t, "told that it is over", func() bool { return strings.Contains(log.String(), "again") })
	_, refused, _ := strings.Cut(log.String(), `"writes refused"=`)
	count, _ := strconv.Atoi(strings.TrimSpace(refused)) // the relay's own writes are among them
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || count < 4 {
		t.Errorf("%d errors, %d writes refused:\n%s", n, count, log)
	}
}

// While there is no lease to be had, nobody waits for one.
func TestRedisNoLease(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	s.do(t, "ACL SETUSER default -zadd")
	b := open(t, config(s))
	stalls, began := wiretest.WatchStalls(t), time.Now()
	for _, id := range []string{"ann", "ben", "carl"} {
		if _, err := b.Enter(t.Context(), "a", broker.User{ID: id}); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("enter: %v", err)
		}
	}
	if d := stalls.Since(began); d > 2*time.Second { // one that waits does so for longer
		t.Errorf("3 entries took %v", d)
	}
	s.do(t, "ACL SETUSER default +zadd")
	membersEventually(t, b, "a", "ann", "ben", "carl")
}

// What Redis does not let its user do is told once, though the health check does not take it.
func TestRedisDeniesACommand(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	log := &wiretest.Log{}
	b := openRedis(t, config(s), newLog(log))
	waitReady(t, b)
	s.do(t, "ACL SETUSER default -xadd")
	for n := range 4 {
		if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: strconv.Itoa(n)})[0]; !errors.Is(r.Err, broker.ErrUnavailable) {
			t.Errorf("publish: %+v", r)
		}
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "docs/redis.conf") {
		t.Errorf("%d errors:\n%s", n, log)
	}
}

// What a full Redis does not take of a session, its relay knows still when the client is back.
func TestRedisFullWhileSomebodyIsBack(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--maxmemory-policy", "noeviction")
	b, other := open(t, config(s)), open(t, config(s))
	at := b.Head()
	kept := b.Keep("ann", broker.Session{}, nothing)
	join(t, kept, "a", at)
	join(t, kept, "b", at)
	s.do(t, "CONFIG SET maxmemory 1mb")
	eventually(t, "noticed", func() bool { return b.Ready() != nil })
	_ = kept.Join(t.Context(), broker.Membership{Room: "c", Since: at}) // it is made good
	_ = kept.Leave(t.Context(), "a")
	kept.Release()
	roomsOf := func(b broker.Broker) (rooms []string) {
		t.Helper()
		r, err := b.Resume(t.Context(), "ann", at, nothing)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Session.Rooms {
			rooms = append(rooms, m.Room)
		}
		slices.Sort(rooms)
		return rooms
	}
	for n := range 3 { // of a session that was released, and then of one that lives
		if rooms := roomsOf(b); !slices.Equal(rooms, []string{"b", "c"}) {
			t.Errorf("%d: back in %q", n, rooms)
		}
	}
	s.do(t, "CONFIG SET maxmemory 0")
	waitReady(t, b)
	eventually(t, "written", func() bool {
		return strings.Contains(s.do(t, "HGET setu{0}:session:ann rooms"), " c")
	})
	if rooms := roomsOf(other); !slices.Equal(rooms, []string{"b", "c"}) {
		t.Errorf("back at the other in %q", rooms)
	}
}
