package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

// listener is a subscriber that keeps what it is told.
type listener struct {
	mu      sync.Mutex
	reasons []string
	bodies  []string // of the newest snapshot, and what was delivered since
}

func (l *listener) Load(s broker.Snapshot, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reasons, l.bodies = append(l.reasons, reason), nil
	for _, m := range s.Messages {
		l.bodies = append(l.bodies, m.Body)
	}
}

func (l *listener) Deliver(m broker.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies = append(l.bodies, m.Body)
}

func (*listener) Signal(broker.Signal)   {}
func (*listener) Presence(broker.Change) {}

func (l *listener) heard() (reasons, bodies []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.reasons), slices.Clone(l.bodies)
}

func listen(t testing.TB, b broker.Broker, room string) *listener {
	t.Helper()
	l := &listener{}
	stop, err := b.Subscribe(t.Context(), room, l, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return l
}

// linked opens a relay over a link of its own.
func linked(t testing.TB, s *server, log *wiretest.Log) (*redis.Broker, *wiretest.Link) {
	t.Helper()
	return linkedFor(t, s, time.Hour, log)
}

// linkedFor opens one with a lease.
func linkedFor(t testing.TB, s *server, lease time.Duration, log *wiretest.Log) (*redis.Broker, *wiretest.Link) {
	t.Helper()
	l := wiretest.NewLink(t, s.addr)
	cfg := withLease(s, lease)
	cfg.URL = "redis://" + l.Address()
	b := openRedis(t, cfg, newLog(log))
	waitReady(t, b)
	return b, l
}

// commands counts what reached Redis so far.
func (s *server) commands(t testing.TB) (n int) {
	t.Helper()
	_, rest, _ := strings.Cut(s.do(t, "INFO stats"), "total_commands_processed:")
	fmt.Sscan(rest, &n)
	return n
}

// isCalm checks that relays ask next to nothing while nothing happens.
func (s *server) isCalm(t testing.TB) {
	t.Helper()
	before, began := s.commands(t), time.Now()
	<-time.After(500 * time.Millisecond)
	if n := s.commands(t) - before; n > 50+2*besides(began) {
		t.Errorf("%d commands in %v of nothing", n, time.Since(began))
	}
}

// What stands on a room's channel and can't follow is asked for once, and dropped.
func TestRedisStrayPublish(t *testing.T) {
	t.Parallel()
	s, log := ownServer(t), &wiretest.Log{}
	b, _ := linked(t, s, log)
	l := listen(t, b, "a")
	epoch := publish(t, b, "a", "1").Offset.Epoch
	for _, stray := range []string{
		"m" + epoch + " 999999 7 1795000000000 aaaaaaaaaaaa bbbbbbbbbbbb stray",
		"mnever 5 2 1795000000000 aaaaaaaaaaaa bbbbbbbbbbbb stray",
	} {
		s.do(t, "PUBLISH setu{0}:room:a", stray)
		eventually(t, "looked at", func() bool { return b.Ready() == nil })
		publish(t, b, "a", "after "+stray[:8])
		waitReady(t, b)
		s.isCalm(t)
	}
	eventually(t, "told", func() bool { return strings.Contains(log.String(), "dropped") })
	if reasons, bodies := l.heard(); len(reasons) != 1 || len(bodies) != 3 || slices.Contains(bodies, "stray") {
		t.Errorf("loaded for %q, heard %q", reasons, bodies)
	}
}

// A subscription that lags brings the past of an epoch that is no more, while others go on.
func TestRedisFlushedWithLag(t *testing.T) {
	t.Parallel()
	s, log := ownServer(t), &wiretest.Log{}
	slow, way := linked(t, s, log)
	quick, _ := linked(t, s, &wiretest.Log{})
	l := listen(t, slow, "a")
	way.Set(wiretest.Quality{Lag: 150 * time.Millisecond})
	for round := range 3 {
		for i := range 40 { // fewer than are kept
			publish(t, quick, "a", fmt.Sprint(round, "-", i))
		}
		s.do(t, "FLUSHALL")
		last := fmt.Sprint(round, "-last")
		eventually(t, "published again", func() bool {
			return quick.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: last, Body: "body of " + last})[0].Err == nil
		})
		eventually(t, "ready with the newest", func() bool {
			_, bodies := l.heard()
			return slow.Ready() == nil && len(bodies) > 0 && bodies[len(bodies)-1] == "body of "+last
		})
	}
	s.isCalm(t)
	if reasons, _ := l.heard(); slices.ContainsFunc(reasons[1:], func(r string) bool { return r != broker.ReasonEpoch }) || len(reasons) < 2 {
		t.Errorf("loaded for %q", reasons)
	}
}

// A catch-up that learns from its first answer that Redis has lost all has its many rooms subscribed to.
func TestRedisFlushedWithManyRooms(t *testing.T) {
	t.Parallel()
	const rooms = 10_000 // more than are asked for before the first answer
	s := ownServer(t)
	b, way := linked(t, s, &wiretest.Log{})
	var load sync.WaitGroup
	for first := range 100 {
		load.Go(func() {
			for i := first; i < rooms; i += 100 {
				listen(t, b, fmt.Sprint("room ", i))
			}
		})
	}
	load.Wait()
	mend := way.Cut()
	s.do(t, "FLUSHALL")
	mend()
	waitReady(t, b)
	eventually(t, "subscribed to all rooms", func() bool {
		return strings.Count(s.do(t, "PUBSUB CHANNELS"), "room ") >= rooms
	})
}

// A message that was acknowledged here and that no subscription has brought is as good as seen: if
// Redis loses it, and grows back to the same numbers, it is told.
func TestRedisAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	for _, regrown := range []int{0, 5} {
		t.Run(fmt.Sprint("regrown by ", regrown), func(t *testing.T) {
			t.Parallel()
			s := ownServer(t)
			b, way := linked(t, s, &wiretest.Log{})
			l := listen(t, b, "a")
			publish(t, b, "a", "1")
			eventually(t, "delivered", func() bool { _, bodies := l.heard(); return len(bodies) == 1 })
			way.Deafen()
			rollback := s.save(t)
			publish(t, b, "a", "2")
			publish(t, b, "a", "3")
			mend := way.Cut()
			rollback()
			other, _ := linked(t, s, &wiretest.Log{})
			for i := range regrown {
				publish(t, other, "a", fmt.Sprint("new ", i))
			}
			mend()
			eventually(t, "told", func() bool {
				reasons, _ := l.heard()
				return slices.Equal(reasons, []string{"", broker.ReasonEpoch})
			})
			waitReady(t, b)
		})
	}
}

// A primary that is made a replica keeps its connections. Both are made anew, and lead to the server
// that is the primary now.
func TestRedisDemoted(t *testing.T) {
	t.Parallel()
	was, is, log := ownServer(t), ownServer(t), &wiretest.Log{}
	host, port, _ := strings.Cut(was.addr, ":")
	is.do(t, "REPLICAOF "+host+" "+port)
	b, way := linked(t, was, log)
	l := listen(t, b, "a")
	publish(t, b, "a", "1")
	eventually(t, "replicated", func() bool { return is.do(t, "EXISTS setu{0}:stream:a") == "1" })
	is.do(t, "REPLICAOF NO ONE")
	host, port, _ = strings.Cut(is.addr, ":")
	was.do(t, "REPLICAOF "+host+" "+port)
	began := time.Now()
	eventually(t, "not ready", func() bool { return b.Ready() != nil })
	way.Lead(is.addr)
	waitReady(t, b)
	t.Logf("ready after %v", time.Since(began))
	publish(t, b, "a", "2")
	eventually(t, "delivered", func() bool { _, bodies := l.heard(); return slices.Equal(bodies, []string{"body of 1", "body of 2"}) })
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "READONLY") {
		t.Errorf("said:\n%s", log)
	}
}

// A room whose index was evicted goes on where its stream ends.
func TestRedisIndexEvicted(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, _ := linked(t, s, &wiretest.Log{})
	l := listen(t, b, "a")
	publish(t, b, "a", "1")
	first := publish(t, b, "a", "2")
	s.do(t, "DEL setu{0}:index:a")
	if again := publish(t, b, "a", "2"); !again.Duplicate || again.Offset != first.Offset {
		t.Errorf("the second again: %+v, was %+v", again, first)
	}
	s.do(t, "DEL setu{0}:index:a")
	next := publish(t, b, "a", "3")
	if next.Offset.Seq != 3 || next.Offset.Pos <= first.Offset.Pos {
		t.Errorf("after the second of %+v comes %+v", first, next)
	}
	eventually(t, "delivered", func() bool { _, bodies := l.heard(); return len(bodies) == 3 })
	if reasons, _ := l.heard(); len(reasons) != 1 {
		t.Errorf("loaded for %q", reasons)
	}
}

// What a room holds lives for its time after each message, though few messages renew that: also after a
// message of a relay of before, which renews for no longer, and if the stream was evicted.
func TestHistoryIsRenewed(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	b := open(t, cfg)
	lives := func(when string) {
		t.Helper()
		for _, key := range []string{"stream", "index"} {
			if ttl, _ := strconv.Atoi(s.do(t, "PTTL setu{0}:"+key+":a")); ttl < int(cfg.TTL.Milliseconds()) {
				t.Errorf("%s lives for %d ms %s", key, ttl, when)
			}
		}
	}
	publish(t, b, "a", "1")
	lives("after the first")
	publish(t, b, "a", "2")
	lives("after the second")
	s.do(t, "HSET setu{0}:index:a by 1")
	s.do(t, "PEXPIRE setu{0}:stream:a 60000")
	s.do(t, "PEXPIRE setu{0}:index:a 60000")
	publish(t, b, "a", "3")
	lives("after one of a relay of before")
	s.do(t, "DEL setu{0}:stream:a")
	if r := publish(t, b, "a", "4"); r.Offset.Seq != 4 {
		t.Errorf("after the stream was evicted: %+v", r)
	}
	lives("after it was evicted")
}

// A relay that begins when Redis has lost where the partition stands, and its messages not, goes on
// behind them: in a room that it takes up, and for another relay that was there before.
func TestRedisHeadEvicted(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	former := openRedis(t, cfg, newLog(&wiretest.Log{}))
	waitReady(t, former)
	listen(t, former, "a")
	publish(t, former, "a", "1")
	last := publish(t, former, "a", "2")
	_ = former.Close(t.Context())
	s.do(t, "DEL setu{0}:head")

	b := openRedis(t, cfg, newLog(&wiretest.Log{}))
	waitReady(t, b)
	l := listen(t, b, "a")
	next := publish(t, b, "a", "3")
	if next.Offset.Seq != 3 || next.Offset.Pos <= last.Offset.Pos {
		t.Errorf("after %+v comes %+v", last, next)
	}
	eventually(t, "delivered", func() bool { _, bodies := l.heard(); return len(bodies) == 3 })

	s.do(t, "HSET setu{0}:head epoch begunanew0 pos 0")
	eventually(t, "told", func() bool { reasons, bodies := l.heard(); return len(reasons) >= 2 && len(bodies) == 3 })
	waitReady(t, b)
	if after := publish(t, b, "a", "4"); after.Offset.Seq != 4 || after.Offset.Pos <= next.Offset.Pos {
		t.Errorf("after %+v comes %+v", next, after)
	}
	eventually(t, "delivered", func() bool { _, bodies := l.heard(); return len(bodies) == 4 })
}

// As long as others are yet to record their users anew, what is read of who is there is said to lack some;
// then all rooms hear that changes may have been missed.
func TestRedisMembersAfterFlush(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	b := openRedis(t, cfg, newLog(&wiretest.Log{}))
	waitReady(t, b)
	missed := make(chan struct{}, 8)
	stop, err := b.Subscribe(t.Context(), "a", &missedListener{missed: missed}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := b.Enter(t.Context(), "a", broker.User{ID: "ann", Name: "Ann"}); err != nil {
		t.Fatal(err)
	}
	if users, n, err := b.MembersNow(t.Context(), "a", 10); len(users) != 1 || n != 1 || err != nil {
		t.Fatal(users, n, err)
	}
	s.do(t, "FLUSHALL")
	if users, _, err := b.MembersNow(t.Context(), "a", 10); len(users) != 1 || !errors.Is(err, broker.ErrPartial) {
		t.Errorf("right after: %q, %v", users, err)
	}
	eventually(t, "there under another life", func() bool { return s.do(t, "HLEN setu{0}:members:a") == "1" })
	if _, _, err := b.MembersNow(t.Context(), "a", 10); !errors.Is(err, broker.ErrPartial) {
		t.Errorf("while others may have yet to come back: %v", err)
	}
	<-missed
	if users, n, err := b.MembersNow(t.Context(), "a", 10); len(users) != 1 || n != 1 || err != nil {
		t.Error(users, n, err)
	}
}

// missedListener hears when changes were missed.
type missedListener struct {
	listener
	missed chan struct{}
}

func (l *missedListener) Presence(ch broker.Change) {
	if ch.Missed {
		l.missed <- struct{}{}
	}
}
