package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

func nothing() {}

func join(t testing.TB, k broker.SessionHandle, room string, since broker.Offset) {
	t.Helper()
	if err := k.Join(t.Context(), broker.Membership{Room: room, Since: since}); err != nil {
		t.Fatalf("join %q: %v", room, err)
	}
}

// A client that connects and joins costs one call; so does one that joins another room, or comes
// back.
func TestRedisSessionCost(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := b.Head()
	join(t, b.Keep("first", broker.Session{}, nothing), "a", at) // the script is there now
	if _, err := b.Resume(t.Context(), "first", at, nothing); err != nil {
		t.Fatal(err)
	}
	s.do(t, "CONFIG RESETSTAT")
	var all []broker.SessionHandle
	began := time.Now()
	for i := range 50 {
		all = append(all, b.Keep(strconv.Itoa(i), broker.Session{}, nothing))
	}
	<-time.After(redis.KeepDelay / 4)
	for _, k := range all {
		join(t, k, "a", at)
		join(t, k, "a", at) // nothing new
	}
	inTime := time.Since(began) < redis.KeepDelay
	<-time.After(4 * redis.KeepDelay) // by then that they were fresh is forgotten
	if n := s.calls(t, "evalsha"); n < 50 || n > 50+besides(began) && inTime {
		t.Errorf("%d scripts run for 50 connections that joined a room", n)
	}
	s.do(t, "CONFIG RESETSTAT")
	began = time.Now()
	for _, k := range all {
		join(t, k, "b", at)
	}
	for i := range all {
		if _, err := b.Resume(t.Context(), strconv.Itoa(i), at, nothing); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.calls(t, "evalsha"); n < 100 || n > 100+besides(began) {
		t.Errorf("%d scripts run for 50 joins and 50 resumes", n)
	}
	for range 10 {
		if _, err := b.Resume(t.Context(), "bogus", at, nothing); !errors.Is(err, broker.ErrGone) {
			t.Errorf("bogus: %v", err)
		}
	}
	if n := s.do(t, "EXISTS setu{0}:session:bogus"); n != "0" {
		t.Error("asking for a session made one")
	}
}

// Nothing is left of sessions here that have ended, nor in Redis for longer than is set.
func TestRedisSessionsEnd(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	cfg.Recovery = 300 * time.Millisecond
	b := open(t, cfg)
	at := b.Head()
	for i := range 30 {
		k := b.Keep(strconv.Itoa(i), broker.Session{}, nothing)
		if i%2 == 0 {
			join(t, k, "a", at)
		}
		switch i % 3 {
		case 0:
			k.End()
		case 1:
			k.Release()
		case 2:
			k.Invalidate("a", at)
			k.Release()
		}
	}
	b.Resume(t.Context(), "bogus", at, nothing)
	eventually(t, "written", func() bool { return b.Sessions() == 0 })
	eventually(t, "expired", func() bool { return s.do(t, "KEYS *session*") == "" })

	mended := s.save(t)
	s.kill()
	eventually(t, "noticed", func() bool { return b.Ready() != nil })
	for i := range 30 {
		b.Keep(strconv.Itoa(i), broker.Session{}, nothing).Release()
	}
	eventually(t, "forgotten", func() bool { return b.Sessions() == 0 })
	mended()
	waitReady(t, b)
	for i := range 30 {
		if _, err := b.Resume(t.Context(), strconv.Itoa(i), b.Head(), nothing); !errors.Is(err, broker.ErrGone) {
			t.Errorf("written after its time: %v", err)
		}
	}
}

func TestRedisSessionTTL(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := b.Head()
	k := b.Keep("ann", broker.Session{}, nothing)
	join(t, k, "a", at)
	ttl := func() time.Duration {
		n, _ := strconv.Atoi(s.do(t, "PTTL setu{0}:session:ann"))
		return time.Duration(n) * time.Millisecond
	}
	if got := ttl(); got < 119*time.Minute || got > 2*time.Hour {
		t.Errorf("while it is owned, it is kept for %v", got)
	}
	k.Release()
	eventually(t, "kept for an hour", func() bool { return ttl() < 61*time.Minute })
	if got := ttl(); got < 59*time.Minute {
		t.Errorf("once released, it is kept for %v", got)
	}
	if _, err := b.Resume(t.Context(), "ann", at, nothing); err != nil || ttl() < 119*time.Minute {
		t.Errorf("resumed: %v, kept for %v", err, ttl())
	}
}

// An answer that repeats, or how many others ask, costs nothing.
func TestRedisPeerCached(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	cfg.Self = newSelf()
	b, other := open(t, config(s)), open(t, cfg)
	find := func(node string) error {
		_, err := b.Peer(t.Context(), node)
		return err
	}
	eventually(t, "announced", func() bool { return find(cfg.Self.Node) == nil })
	s.do(t, "CONFIG RESETSTAT")
	began := time.Now()
	for range 100 {
		if err := find(cfg.Self.Node); err != nil {
			t.Error(err)
		}
		if err := find("bogus"); !errors.Is(err, broker.ErrGone) {
			t.Error(err)
		}
	}
	if n := s.calls(t, "get"); n > besides(began) {
		t.Errorf("%d reads for 200 questions", n)
	}
	s.do(t, "SET setu{0}:peer:bogus", "not JSON")
	if err := find("bogus"); !errors.Is(err, broker.ErrGone) {
		t.Error(err)
	}
	other.Close(t.Context())
	eventually(t, "withdrawn", func() bool { return errors.Is(find(cfg.Self.Node), broker.ErrGone) })
}

// A write that was given up and comes late, on a connection that was thought dead, does not undo
// what was written since.
func TestRedisSessionLateWrite(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	script, err := os.ReadFile("lua/save.lua")
	if err != nil {
		t.Fatal(err)
	}
	save := func(want string, args ...string) {
		t.Helper()
		if got := s.do(t, "EVAL", append([]string{string(script), "1", "k", "me.1", "60000"}, args...)...); got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
	}
	holds := func(want string) {
		t.Helper()
		if got := s.do(t, "HVALS k"); got != want {
			t.Errorf("stored: %q, want %q", got, want)
		}
	}
	save("1", "1", "x", "a", "")
	save("1", "2", "x", "a b", "c")
	save("1", "2", "x", "a b", "c") // again
	save("1", "4", "x", "d", "a")
	save("0", "3", "x", "late", "late")
	holds("me.1\n4\nx\nd\na")
	save("1", "5") // invalid
	holds("me.1\n5")
	save("0", "4", "x", "late", "late")
	holds("me.1\n5")
	save("1", "6", "x", "d e", "a")
	holds("me.1\n6\nx\nd e\na")
	s.do(t, "HSET k owner", "another.1")
	save("-1", "7", "x", "d", "a")
	holds("another.1\n6\nx\nd e\na")
}

// What is in Redis in place of a session is none.
func TestRedisSessionMangled(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := b.Head()
	for i, change := range []string{"HSET %s rooms x", "HDEL %s rooms", "HSET %s who x", "HDEL %s v", "HDEL %s who", "HSET %s owner x", "HDEL %s owner"} {
		key := fmt.Sprint("k", i)
		join(t, b.Keep(key, broker.Session{ID: "x"}, nothing), "a", at)
		s.do(t, fmt.Sprintf(change, "setu{0}:session:"+key))
		if _, err := b.Resume(t.Context(), key, at, nothing); !errors.Is(err, broker.ErrGone) && !strings.Contains(change, "owner x") {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// What ten thousand connections that each join a room take.
func BenchmarkRedisKeepJoin(b *testing.B) {
	s := ownServer(b)
	m := openRedis(b, config(s), testLog(b))
	waitReady(b, m)
	at := m.Head()
	for n := range b.N {
		var wg sync.WaitGroup
		for i := range 10_000 {
			wg.Go(func() { join(b, m.Keep(fmt.Sprint(n, "-", i), broker.Session{ID: "x"}, nothing), "a", at) })
		}
		wg.Wait()
	}
}

// What one change costs in sessions of many sizes, many at a time: a session is written whole.
func BenchmarkRedisSessionChange(b *testing.B) {
	for _, rooms := range []int{1, 20, 200} {
		b.Run(fmt.Sprint(rooms, " rooms"), func(b *testing.B) {
			s := ownServer(b)
			m := openRedis(b, config(s), testLog(b))
			waitReady(b, m)
			at := broker.Offset{Epoch: m.Head().Epoch, Pos: 1_000_000, Seq: 10_000, Digest: "0123456789ab"}
			var state broker.Session
			for i := range rooms {
				state.Rooms = append(state.Rooms, broker.Membership{Room: fmt.Sprint("a room, number ", i), Since: at})
			}
			received := func() int {
				_, rest, _ := strings.Cut(s.do(b, "INFO stats"), "total_net_input_bytes:")
				n, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
				return n
			}
			const many = 32
			var all []broker.SessionHandle
			for i := range many {
				k := m.Keep(fmt.Sprint(i), state, nothing)
				join(b, k, state.Rooms[0].Room, at)
				all = append(all, k)
			}
			s.do(b, "CONFIG RESETSTAT")
			b.ResetTimer()
			var wg sync.WaitGroup
			for i, k := range all {
				wg.Go(func() {
					for n := i; n < b.N; n += many {
						change := broker.Membership{Room: state.Rooms[0].Room, Since: at, Presence: n/many%2 == 0}
						if err := k.Join(b.Context(), change); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(received())/float64(b.N), "B/change")
			_, rest, _ := strings.Cut(s.do(b, "INFO commandstats"), "cmdstat_evalsha:calls=")
			_, rest, _ = strings.Cut(rest, "usec=")
			usec, _ := strconv.Atoi(strings.SplitN(rest, ",", 2)[0])
			b.ReportMetric(float64(usec)/float64(b.N), "redis-µs/change")
		})
	}
}

// A Resume that failed for want of an answer, before or after the session was taken over, loses
// nothing: whoever asks again goes on.
func TestRedisResumeTriedAgain(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	here := open(t, config(s))
	way := wiretest.NewLink(t, s.addr)
	const trip = 100 * time.Millisecond // each way
	way.Set(wiretest.Quality{Delay: trip})
	cfg := config(s)
	cfg.URL = "redis://" + way.Address()
	far := openRedis(t, cfg, testLog(t))
	waitReady(t, far)
	first := publish(t, here, "a", "1").Offset
	last := publish(t, here, "a", "2").Offset
	learn := here.Keep("learn", broker.Session{}, nothing) // Redis gets to know the scripts
	join(t, learn, "a", first)
	if _, err := here.Resume(t.Context(), "learn", last, nothing); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []bool{false, true} { // when Resume is given up
		key := fmt.Sprint("taken-", taken)
		join(t, here.Keep(key, broker.Session{ID: "x"}, nothing), "a", first)
		before := s.do(t, "HGET", "setu{0}:session:"+key, "owner")
		ctx, giveUp := context.WithCancel(t.Context())
		way.Set(wiretest.Quality{LostUp: !taken, LostDown: taken, Delay: trip})
		resumed := make(chan error)
		go func() { _, err := far.Resume(ctx, key, last, nothing); resumed <- err }()
		if taken {
			eventually(t, "taken over", func() bool { return s.do(t, "HGET", "setu{0}:session:"+key, "owner") != before })
		}
		giveUp()
		if err := <-resumed; !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("%s: %v", key, err)
		}
		if n := far.Sessions(); n != 0 && taken {
			t.Errorf("%d handles are kept", n)
		}
		way.Set(wiretest.Quality{Delay: trip})
		waitReady(t, far)
		for _, relay := range []*redis.Broker{far, here} {
			r, err := relay.Resume(t.Context(), key, last, nothing)
			if err != nil || r.ID != "x" || r.Room != "a" || len(r.Rooms) != 1 || r.Rooms[0].Since != first {
				t.Errorf("tried again: %+v, %v", r, err)
			}
			r.Handle.Release()
		}
		eventually(t, "written", func() bool { return far.Sessions() == 0 })
	}
	// Redis answers, but not that.
	join(t, here.Keep("odd", broker.Session{ID: "x"}, nothing), "a", first)
	s.do(t, "RENAME setu{0}:stream:a aside")
	s.do(t, "SET setu{0}:stream:a x")
	if _, err := far.Resume(t.Context(), "odd", last, nothing); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("no stream: %v", err)
	}
	s.do(t, "RENAME aside setu{0}:stream:a")
	if r, err := far.Resume(t.Context(), "odd", last, nothing); err != nil || r.Room != "a" {
		t.Errorf("tried again: %+v, %v", r, err)
	}
	// What can't be vouched for is over, for good.
	join(t, here.Keep("over", broker.Session{}, nothing), "a", first)
	never := last
	never.Digest = first.Digest
	for _, at := range []broker.Offset{never, last} {
		if _, err := far.Resume(t.Context(), "over", at, nothing); !errors.Is(err, broker.ErrGone) {
			t.Errorf("from %v: %v", at, err)
		}
	}
}

// Where the message that the client had last is one of the newest of a room that is live here, going on
// takes one trip.
func TestRedisResumeFromRecent(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	c := &counter{}
	stop, err := b.Subscribe(t.Context(), "a", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	was, recent := publish(t, b, "a", "1"), publish(t, b, "a", "2")
	last := recent
	for i := range redis.RecentMessages - 1 {
		last = publish(t, b, "a", strconv.Itoa(i+3))
	}
	eventually(t, "delivered", func() bool { return c.n.Load() == redis.RecentMessages+1 })
	join(t, b.Keep("ann", broker.Session{}, nothing), "a", was.Offset)
	for _, at := range []struct {
		broker.Receipt
		reads int
	}{{last, 0}, {recent, 0}, {was, 2}, {was, 1}} { // the third finds that Redis does not know the script yet
		before := s.calls(t, "evalsha_ro")
		r, err := b.Resume(t.Context(), "ann", at.Offset, nothing)
		if err != nil || r.Room != "a" || r.At != at.At {
			t.Errorf("resumed %+v, %v", r, err)
		}
		if n := s.calls(t, "evalsha_ro") - before; n != at.reads {
			t.Errorf("%d reads, want %d", n, at.reads)
		}
	}
}
