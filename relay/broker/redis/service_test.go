package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/brokertest"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

// config is for tests of one server of their own: nothing but what they do reaches it, save for a
// health check now and then.
func config(s *server) redis.Config {
	return redis.Config{URL: "redis://" + s.addr, Lease: time.Hour, Limits: broker.Limits{History: 50, TTL: time.Hour}}
}

func open(t *testing.T, cfg redis.Config) *redis.Broker {
	t.Helper()
	b := openRedis(t, cfg, testLog(t))
	waitReady(t, b)
	return b
}

func publish(t *testing.T, b broker.Broker, room, id string) broker.Receipt {
	t.Helper()
	r := b.Publish(t.Context(), broker.Publication{Room: room, User: "ann", ID: id, Body: "body of " + id})
	if r[0].Err != nil {
		t.Fatalf("publish %s: %v", id, r[0].Err)
	}
	return r[0]
}

// besides is how many scripts relays may have run since began for themselves: of health, and for their leases.
// A machine that is slow has them do so more often while a test does what it counts.
func besides(began time.Time) int { return 10 + 5*int(time.Since(began)/time.Second) }

// calls counts how often Redis has run a command.
func (s *server) calls(t *testing.T, command string) int {
	t.Helper()
	for line := range strings.Lines(s.do(t, "INFO commandstats")) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			calls, _ := strconv.Atoi(n)
			return calls
		}
	}
	return 0
}

func TestRedisOneCommandForEachPublish(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, other := open(t, config(s)), open(t, config(s))
	stop, err := other.Subscribe(t.Context(), "a", &counter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publish(t, b, "a", "first") // the script is there now
	s.do(t, "CONFIG RESETSTAT")
	began := time.Now()
	for i := range 200 {
		publish(t, b, "a", strconv.Itoa(i))
	}
	if n := s.calls(t, "xadd"); n != 200 {
		t.Errorf("%d messages stored", n)
	}
	if n := s.calls(t, "evalsha"); n < 200 || n > 200+besides(began) {
		t.Errorf("%d scripts run for 200 publishes", n)
	}
	if n := s.calls(t, "evalsha_ro") + s.calls(t, "script|load"); n > besides(began) {
		t.Errorf("%d other commands", n)
	}
}

// What was read of a cold room is not read again until it changes.
func TestRedisClientSideCache(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, other := open(t, config(s)), open(t, config(s))
	publish(t, other, "a", "1")
	if _, err := other.Enter(t.Context(), "a", broker.User{ID: "ann"}); err != nil {
		t.Fatal(err)
	}
	history := func() int {
		page, _, err := b.History(t.Context(), "a", broker.Offset{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(page)
	}
	members := func() int {
		_, n, err := b.Members(t.Context(), "a", 10)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		name   string
		read   func() int
		change func()
	}{
		{"history", history, func() { publish(t, other, "a", "2") }},
		{"members", members, func() { other.Enter(t.Context(), "a", broker.User{ID: "ben"}) }},
		{"members after a leave", members, func() { other.Leave("a", "ben") }},
	} {
		was := c.read()
		s.do(t, "CONFIG RESETSTAT")
		for range 10 {
			if got := c.read(); got != was {
				t.Errorf("%s: %d, then %d", c.name, was, got)
			}
		}
		if n := s.calls(t, "evalsha_ro"); n != 0 {
			t.Errorf("%s: %d reads reached Redis", c.name, n)
		}
		c.change()
		eventually(t, c.name+" read anew", func() bool { return c.read() != was })
		if n := s.calls(t, "evalsha_ro"); n != 1 {
			t.Errorf("%s: %d reads reached Redis after a change, want 1", c.name, n)
		}
	}
	// The first joiner of a cold room, too, reads only where the room stands.
	join := func(room string) {
		stop, err := b.Subscribe(t.Context(), room, &counter{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		stop()
	}
	join("b") // Redis knows the scripts now
	join("a")
	s.do(t, "CONFIG RESETSTAT")
	join("a")
	if n := s.calls(t, "evalsha_ro"); n != 1 {
		t.Errorf("%d reads reached Redis for a join that the cache covers, want 1", n)
	}
}

func TestRedisWithoutTracking(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	s.do(t, "ACL SETUSER default -client|tracking")
	log := &wiretest.Log{}
	b := openRedis(t, config(s), newLog(log))
	waitReady(t, b)
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "CLIENT TRACKING") {
		t.Errorf("said:\n%s", log)
	}
	brokertest.Run(t, brokertest.Harness{New: storeOn(s, "redis://"), Shared: true})
}

// aivenDisabled is what Aiven for Valkey takes away.
const aivenDisabled = "ACL BGREWRITEAOF BGSAVE CLUSTER COMMAND CONFIG DEBUG FAILOVER LASTSAVE MIGRATE MONITOR REPLICAOF SAVE SHUTDOWN SLAVEOF"

func TestRedisAsAivenRunsIt(t *testing.T) {
	t.Parallel()
	args := []string{"--maxmemory-policy", "noeviction"}
	for command := range strings.FieldsSeq(aivenDisabled) {
		args = append(args, "--rename-command", command, "")
	}
	s := ownServer(t, args...)
	brokertest.Run(t, brokertest.Harness{New: storeOn(s, "valkey://"), Shared: true})
}

// storeOn makes stores on one server, apart by their prefix.
func storeOn(s *server, scheme string) func(*testing.T, brokertest.Options) *brokertest.Store {
	return func(t *testing.T, o brokertest.Options) *brokertest.Store {
		return &brokertest.Store{Open: func(t *testing.T) *brokertest.Relay {
			cfg := redis.Config{URL: scheme + s.addr, Prefix: t.Name(), Lease: o.Lease, Self: newSelf(), Limits: o.Limits}
			b := open(t, cfg)
			return &brokertest.Relay{Broker: b, Self: cfg.Self, Kill: b.Kill}
		}}
	}
}

// A Redis that is full refuses, and the relay goes on when it is not any more.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--maxmemory-policy", "noeviction")
	log := &wiretest.Log{}
	b := openRedis(t, config(s), newLog(log))
	waitReady(t, b)
	var c counter
	stop, err := b.Subscribe(t.Context(), "a", &c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publish(t, b, "a", "1")
	s.do(t, "CONFIG SET maxmemory 1mb")
	if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: "2"})[0]; !errors.Is(r.Err, broker.ErrUnavailable) {
		t.Errorf("publish into a full Redis: %+v", r)
	}
	if _, err := b.Enter(t.Context(), "a", broker.User{ID: "ann"}); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("enter into a full Redis: %v", err)
	}
	kept := b.Keep("ann", broker.Session{}, nothing)
	if err := kept.Join(t.Context(), broker.Membership{Room: "a", Since: b.Head()}); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("join into a full Redis: %v", err)
	}
	if err := b.Ready(); !errors.Is(err, broker.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("ready, though Redis is full: %v", err)
	}
	eventually(t, "told", func() bool { return strings.Count(log.String(), "level=ERROR") == 1 })
	s.do(t, "CONFIG SET maxmemory 0")
	waitReady(t, b)
	eventually(t, "told that it is over", func() bool { return strings.Contains(log.String(), "again") })
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors logged:\n%s", n, log)
	}
	if r := publish(t, b, "a", "2"); r.Duplicate || r.Offset.Seq != 2 {
		t.Errorf("after that: %+v", r)
	}
	eventually(t, "delivered", func() bool { return c.n.Load() == 2 })
	eventually(t, "entered", func() bool { _, n, err := b.Members(t.Context(), "a", 10); return err == nil && n == 1 })
	eventually(t, "kept", func() bool {
		r, err := b.Resume(t.Context(), "ann", b.Head(), nothing)
		return err == nil && len(r.Rooms) == 1
	})
}

// Whatever is left behind goes by itself, and a relay listens to its rooms alone.
func TestRedisKeysAndChannels(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	cfg.Self = newSelf()
	b := open(t, cfg)
	channels := func() []string {
		found := strings.Fields(s.do(t, "PUBSUB CHANNELS *"))
		slices.Sort(found)
		return found
	}
	private := channels()
	if len(private) != 3 || private[0] != "setu{0}:commands" || !strings.Contains(private[1], ":relay:") || private[2] != "setu{0}:revocations" {
		t.Errorf("without rooms: subscribed to %q", private)
	}
	publish(t, b, "elsewhere", "1")
	var stops []func()
	for _, room := range []string{"a", "b"} {
		stop, err := b.Subscribe(t.Context(), room, &counter{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, stop)
		publish(t, b, room, "1")
		if _, err := b.Enter(t.Context(), room, broker.User{ID: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	want := append(slices.Clone(private), "setu{0}:room:a", "setu{0}:room:b")
	slices.Sort(want)
	if got := channels(); !slices.Equal(got, want) {
		t.Errorf("subscribed to %q, want %q", got, want)
	}
	b.Leave("b", "ann")
	stops[1]()
	eventually(t, "unsubscribed", func() bool { return len(channels()) == 4 })
	stops[0]()
	eventually(t, "unsubscribed", func() bool { return slices.Equal(channels(), private) })
	for i := range 40 { // who gives up at once leaves nothing behind
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i/4)*20*time.Microsecond)
		stop, err := b.Subscribe(ctx, fmt.Sprint("c", i), &counter{}, 0)
		if err == nil {
			stop()
		}
		cancel()
	}
	eventually(t, "unsubscribed", func() bool { return slices.Equal(channels(), private) })
	at := b.Head()
	join(t, b.Keep("kept", broker.Session{}, nothing), "a", at)
	join(t, b.Keep("gone", broker.Session{}, nothing), "a", at)
	b.Resume(t.Context(), "gone", broker.Offset{}, nothing)
	if _, err := b.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "leased", func() bool { return s.do(t, "ZCARD setu{0}:lives") == "1" })
	if _, err := b.Revoke(t.Context(), broker.Revocation{User: "ann", Until: time.Now().Add(time.Hour).UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	keys := strings.Fields(s.do(t, "KEYS *"))
	for _, kind := range []string{"session:kept", "session:gone", "secret", "peer:" + cfg.Self.Node, "revoked", "revoked:log", "revoked:ends", "noted"} {
		if !slices.Contains(keys, "setu{0}:"+kind) {
			t.Errorf("no %s", kind)
		}
	}
	for _, key := range keys {
		ttl, _ := strconv.Atoi(s.do(t, "PTTL "+key))
		if head := strings.HasSuffix(key, ":head"); head != (ttl == -1) || !strings.Contains(key, "{0}") {
			t.Errorf("%s expires in %d ms", key, ttl)
		}
	}
}

func TestRedisForgetsItsScripts(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	for i := range 3 {
		s.do(t, "SCRIPT FLUSH")
		var pubs []broker.Publication
		for j := range 20 {
			pubs = append(pubs, broker.Publication{Room: "a", User: "ann", ID: fmt.Sprint(i, "-", j)})
		}
		for j, r := range b.Publish(t.Context(), pubs...) {
			if r.Err != nil || r.Offset.Seq != uint64(20*i+j+1) {
				t.Errorf("publication %d: %+v", j, r)
			}
		}
		s.do(t, "SCRIPT FLUSH")
		room := fmt.Sprint("room", i)
		publish(t, b, room, "1")
		s.do(t, "SCRIPT FLUSH")
		if page, _, err := b.History(t.Context(), room, broker.Offset{}, 10); err != nil || len(page) != 1 {
			t.Errorf("history: %v, %v", page, err)
		}
		s.do(t, "SCRIPT FLUSH")
		if n, err := b.Enter(t.Context(), room, broker.User{ID: "ann"}); err != nil || n != 1 {
			t.Errorf("enter: %d, %v", n, err)
		}
		s.do(t, "SCRIPT FLUSH")
		if _, n, err := b.Members(t.Context(), room, 10); err != nil || n != 1 {
			t.Errorf("members: %d, %v", n, err)
		}
		s.do(t, "SCRIPT FLUSH")
		join(t, b.Keep(room, broker.Session{}, nothing), "a", b.Head())
		s.do(t, "SCRIPT FLUSH")
		if _, err := b.Resume(t.Context(), room, b.Head(), nothing); err != nil {
			t.Errorf("resume: %v", err)
		}
		s.do(t, "SCRIPT FLUSH")
		stop, err := b.Subscribe(t.Context(), room, &counter{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		stop()
	}
}

// Services cut connections as a matter of course; an outage is told once, and its end.
func TestRedisLog(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	log := &wiretest.Log{}
	b := openRedis(t, config(s), newLog(log))
	waitReady(t, b)
	var c counter
	stop, err := b.Subscribe(t.Context(), "a", &c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for i := range 5 {
		s.cut(t)
		publish(t, b, "a", strconv.Itoa(i))
		eventually(t, "delivered", func() bool { return c.n.Load() == int64(i+1) })
		waitReady(t, b)
	}
	if strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("connections that are cut are no incident:\n%s", log)
	}
	restart := s.save(t)
	s.kill()
	eventually(t, "noticed", func() bool { return strings.Contains(log.String(), "level=WARN") })
	tick := time.NewTimer(3 * time.Second) // several tries more
	<-tick.C
	restart()
	waitReady(t, b)
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "again") {
		t.Errorf("an outage is told once, and its end:\n%s", log)
	}
}

func BenchmarkRedisPublish(b *testing.B) {
	s := ownServer(b)
	m := openRedis(b, config(s), testLog(b))
	waitReady(b, m)
	b.SetParallelism(64)
	brokertest.BenchmarkPublish(b, m)
}

// While Redis is silent one publish waits for it, and who comes later is told at once, until it is back.
func TestRedisSilentTellsAtOnce(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	waitReady(t, b)
	publish := func(id string) (took time.Duration, err error) {
		began := time.Now()
		r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "u", ID: id, Body: "b"})
		return time.Since(began), r[0].Err
	}
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	for i := range 6 {
		took, err := publish(strconv.Itoa(i))
		if !errors.Is(err, broker.ErrUnavailable) {
			t.Fatalf("publish %d: %v", i, err)
		}
		if i > 1 && took > time.Second { // two may be on their way before it is known
			t.Errorf("publish %d was told after %v", i, took)
		}
	}
	if _, _, err := b.History(t.Context(), "a", broker.Offset{}, 1); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	s.signal(syscall.SIGCONT)
	eventually(t, "taken", func() bool { _, err := publish("back"); return err == nil })
}
