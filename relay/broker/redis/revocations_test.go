package redis_test

import (
	"errors"
	"fmt"
	"runtime"
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

func inAnHour() int64 { return time.Now().Add(time.Hour).UnixMilli() }

func users(prefix string, from, to int) (all []broker.Revocation) {
	until := inAnHour()
	for i := from; i < to; i++ {
		all = append(all, broker.Revocation{User: fmt.Sprint(prefix, i), Until: until})
	}
	return all
}

func revokes(t testing.TB, b broker.Broker, r broker.Revocation, relays int) {
	t.Helper()
	began := time.Now()
	got, err := b.Revoke(t.Context(), r)
	for tries, at := 0, began; tries < 3 && got.Unreached > 0 && time.Since(at) > 1500*time.Millisecond; tries++ { // a machine that stands still for as long as is waited
		at = time.Now()
		got, err = b.Revoke(t.Context(), r)
	}
	if err != nil || got != (broker.Coverage{Stored: true, Holds: relays}) {
		t.Errorf("revoke %.80q: %+v, %v", r.Subject(), got, err)
	}
}

// openLeased starts relays that are counted among those that live.
func openLeased(t *testing.T, s *server, cfg redis.Config, n int) (relays []*redis.Broker) {
	t.Helper()
	for range n {
		relays = append(relays, open(t, cfg))
	}
	eventually(t, "leased", func() bool { return s.do(t, "ZCARD setu{0}:lives") == strconv.Itoa(n) })
	return relays
}

// holds waits until relays hold so many revocations.
func holds(t testing.TB, n int, relays ...*redis.Broker) {
	t.Helper()
	for i, b := range relays {
		eventually(t, fmt.Sprintf("%d held at relay %d", n, i), func() bool { got, _ := b.Revocations(); return got == n })
	}
}

// timeline is a subscriber that also hears of revocations.
type timeline struct {
	counter
	mu  sync.Mutex
	all []string
}

func (l *timeline) Deliver(m broker.Message) { l.note(m.Body) }
func (l *timeline) Signal(s broker.Signal)   { l.note(s.Body) }
func (l *timeline) revoked(all []broker.Revocation) {
	for _, r := range all {
		l.note(r.Subject())
	}
}

func (l *timeline) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, what)
}

func (l *timeline) now() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// Who comes back reads what was revoked, however many trips that takes, before anything is delivered:
// no message, and no signal.
func TestRedisRevokedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	l := wiretest.NewLink(t, s.addr)
	cfg := config(s)
	here := open(t, cfg)
	cfg.URL = "redis://" + l.Address()
	away := open(t, cfg)
	away.LimitRevocations(broker.MaxRevocations, 100)
	line := &timeline{}
	away.OnRevoked(line.revoked)
	stop, err := away.Subscribe(t.Context(), "a", line, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	mend := l.Cut()
	here.StoreRevocations(t, "", users("u", 0, 600)...)
	publish(t, here, "a", "later")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; away.Ready() != nil; i++ { // pushed while it reads
			here.Signal("a", "ann", fmt.Sprint("signal", i))
			<-time.After(100 * time.Microsecond)
		}
		here.Signal("a", "ann", "last")
	}()
	mend()
	<-done
	eventually(t, "heard", func() bool { return slices.Contains(line.now(), "last") })
	all := line.now()
	if !slices.Contains(all, "body of later") {
		t.Errorf("the message is missing of %d", len(all))
	}
	for i, what := range all[:600] {
		if what[0] != 'u' {
			t.Fatalf("%q came after %d of 600 revocations", what, i)
		}
	}
}

// A push that was lost on a connection that is well is noticed, with no trip for it while none is.
func TestRedisRevocationPushLost(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	relays := openLeased(t, s, config(s), 2)
	b, other := relays[0], relays[1]
	revokes(t, b, users("u", 0, 1)[0], 2)
	b.StoreRevocations(t, "elsewhere", users("lost", 0, 1)...)
	revokes(t, b, users("u", 1, 2)[0], 2) // it shows that one is missing
	holds(t, 3, b, other)
	b.StoreRevocations(t, "elsewhere", users("lost", 1, 2)...)
	stalls, began := wiretest.WatchStalls(t), time.Now()
	holds(t, 4, b, other)
	if d := stalls.Since(began); d > 3*redis.ProbeInterval {
		t.Errorf("noticed after %v", d)
	}
	_, at := b.Revocations()
	if _, too := other.Revocations(); at != too || !strings.HasPrefix(at, "4-") {
		t.Errorf("versions %s and %s", at, too)
	}
	eventually(t, "noted", func() bool { return strings.Count(s.do(t, "ZRANGEBYSCORE setu{0}:noted 4 4"), "\n") == 1 })
	s.do(t, "CONFIG RESETSTAT")
	<-time.After(2 * redis.ProbeInterval)
	if n := s.calls(t, "evalsha_ro"); n != 0 {
		t.Errorf("%d reads while nothing happens", n)
	}
}

// A relay that does not know of revocations, as those of before, is not reached, and no relay waits
// for one that is gone.
func TestRedisRevokeWithRelaysOfBefore(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := openLeased(t, s, config(s), 1)[0]
	revokes(t, b, users("u", 0, 1)[0], 1)
	s.do(t, fmt.Sprintf("ZADD setu{0}:lives %d before %d gone", inAnHour(), time.Now().UnixMilli()-1))
	got, err := b.Revoke(t.Context(), users("u", 1, 2)[0])
	if !errors.Is(err, broker.ErrUnavailable) || got != (broker.Coverage{Stored: true, Holds: 1, Unreached: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRedisRevocationsBounded(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := openLeased(t, s, config(s), 1)[0]
	b.LimitRevocations(140, 1<<20)
	short := users("short", 0, 90)
	for i := range short {
		short[i].Until = time.Now().UnixMilli() + 10_000
	}
	b.StoreRevocations(t, "", short...)
	b.StoreRevocations(t, "", users("long", 0, 50)...)
	one := users("more", 0, 1)[0]
	if got, err := b.Revoke(t.Context(), one); !errors.Is(err, broker.ErrTooMany) || got.Stored {
		t.Errorf("one more than may be: %+v, %v", got, err)
	}
	revokes(t, b, broker.Revocation{User: "long1", Until: inAnHour() + 1000}, 1) // which is there
	<-time.After(time.Until(time.UnixMilli(short[0].Until)) + 200*time.Millisecond)
	// One call lets go of some that have expired, and of this one not before it is there again.
	last := broker.Revocation{User: "short89", IssuedBefore: 5, Until: inAnHour(), Reauth: true}
	revokes(t, b, last, 1)
	if got, _ := b.IsRevoked("short89", "", "", 0); got != last {
		t.Errorf("after one that has expired: %+v", got)
	}
	eventually(t, "room for more", func() bool { _, err := b.Revoke(t.Context(), one); return err == nil })
	if n := s.do(t, "HLEN setu{0}:revoked"); n != "52" {
		t.Errorf("%s stored after some have expired", n)
	}
	for _, key := range []string{"revoked:log", "revoked:ends"} {
		if n := s.do(t, "ZCARD setu{0}:"+key); n != "52" {
			t.Errorf("%s in %s", n, key)
		}
		if ttl, _ := strconv.Atoi(s.do(t, "PTTL setu{0}:"+key)); ttl < 3590_000 || ttl > 3601_100 {
			t.Errorf("%s expires in %d ms", key, ttl)
		}
	}
	holds(t, 52, b)
}

// A Redis that is full takes revocations.
func TestRedisRevokeFull(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--maxmemory-policy", "noeviction")
	b := openLeased(t, s, config(s), 1)[0]
	revokes(t, b, users("u", 0, 1)[0], 1)
	s.do(t, "CONFIG SET maxmemory 1mb")
	revokes(t, b, users("u", 1, 2)[0], 1)
	s.do(t, "CONFIG SET min-replicas-to-write 1")
	if got, err := b.Revoke(t.Context(), users("u", 2, 3)[0]); !errors.Is(err, broker.ErrUnavailable) || got.Stored {
		t.Errorf("into a Redis that refuses all: %+v, %v", got, err)
	}
}

// What a relay of later may write, and what none does, harms nobody.
func TestRedisRevocationsOfLater(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := openLeased(t, s, config(s), 1)[0]
	revokes(t, b, users("u", 0, 1)[0], 1)
	line := &timeline{}
	b.OnRevoked(line.revoked)
	for _, junk := range []string{"", "x", "1 2 3 4 5 6 7", "x  a 0 0 0 uann", "9 x y z z z zz", "9 a b 0 x 0 uann", "9999999999999999999999 a b 0 1 0 uann"} {
		s.do(t, "PUBLISH setu{0}:revocations", junk)
	}
	_, at := b.Revocations()
	tag := at[2:]
	until := strconv.FormatInt(inAnHour(), 10)
	s.do(t, "HSET setu{0}:revoked", "gsomething", "2 aaaaaaaaaaaa 0 "+until+" 0 more", "uann", "3 bbbbbbbbbbbb 0 "+until+" 0 more")
	s.do(t, "ZADD setu{0}:revoked:log 2 gsomething 3 uann")
	s.do(t, "HSET setu{0}:head revoked 3-bbbbbbbbbbbb")
	s.do(t, "PUBLISH setu{0}:revocations", "2 "+tag+" aaaaaaaaaaaa 0 "+until+" 0 gsomething")
	s.do(t, "PUBLISH setu{0}:revocations", "3 aaaaaaaaaaaa bbbbbbbbbbbb 0 "+until+" 0 uann")
	eventually(t, "heard", func() bool { return slices.Contains(line.now(), "uann") })
	late := open(t, config(s))
	if _, revoked := late.IsRevoked("ann", "", "", 0); !revoked {
		t.Error("not read")
	}
	for i, b := range []*redis.Broker{b, late} {
		if _, at := b.Revocations(); at != "3-bbbbbbbbbbbb" {
			t.Errorf("relay %d is at %s", i, at)
		}
	}
	s.do(t, "HSET setu{0}:head format 3")
	if got, err := redis.Revoke(t.Context(), config(s), users("u", 1, 2)[0]); !errors.Is(err, broker.ErrUnavailable) || got.Stored || !strings.Contains(err.Error(), "later version") {
		t.Errorf("of a later format: %+v, %v", got, err)
	}
}

// Who is no relay can revoke, over a connection that ends with it.
func TestRedisRevokeFromOutside(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	r := users("u", 0, 2)
	if got, err := redis.Revoke(t.Context(), cfg, r[0]); got != (broker.Coverage{Stored: true}) || err != nil {
		t.Errorf("without relays: %+v, %v", got, err)
	}
	until := inAnHour()
	for _, r := range []broker.Revocation{{User: "ann", IssuedBefore: 5, Until: until, Reauth: true}, {User: "ann", IssuedBefore: 9, Until: until - 5},
		{User: "ann", IssuedBefore: 7, Until: until + 5, Reauth: true}, {User: "ann", IssuedBefore: 6, Until: until, Reauth: true}} {
		if _, err := redis.Revoke(t.Context(), cfg, r); err != nil { // which no relay is there to put right
			t.Error(err)
		}
	}
	relays := openLeased(t, s, cfg, 2)
	b, other := relays[0], relays[1]
	if got, _ := b.IsRevoked("ann", "", "", 0); got != (broker.Revocation{User: "ann", IssuedBefore: 9, Until: until + 5}) {
		t.Errorf("the strictest of four: %+v", got)
	}
	revokes(t, b, r[0], 2)
	if got, err := redis.Revoke(t.Context(), cfg, r[1]); got != (broker.Coverage{Stored: true, Holds: 2}) || err != nil {
		t.Errorf("with two relays: %+v, %v", got, err)
	}
	if _, revoked := other.IsRevoked(r[1].User, "", "", 0); !revoked {
		t.Error("not revoked")
	}
	if n := s.do(t, "ZCARD setu{0}:lives"); n != "2" {
		t.Errorf("%s lives", n)
	}
	cfg.URL = "redis://:secret@127.0.0.1:1"
	if _, err := redis.Revoke(t.Context(), cfg, r[1]); !errors.Is(err, broker.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
		t.Error("without Redis: ", err)
	}
	cfg.URL = "nonsense"
	if _, err := redis.Revoke(t.Context(), cfg, r[1]); err == nil || errors.Is(err, broker.ErrUnavailable) {
		t.Error("a bad URL: ", err)
	}
}

// A relay and a Redis with as many as may be: what that takes, and how long one takes to read it.
func TestRedisRevocationsMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("stores very many")
	}
	const n = 20_000
	s := ownServer(t)
	b := open(t, config(s))
	memory := func() int {
		for line := range strings.Lines(s.do(t, "INFO memory")) {
			if rest, ok := strings.CutPrefix(line, "used_memory:"); ok {
				used, _ := strconv.Atoi(strings.TrimSpace(rest))
				return used
			}
		}
		return 0
	}
	before := memory()
	b.StoreRevocations(t, "", users("user-id-of-22-ch", 100_000, 100_000+n)...)
	holds(t, n, b)
	t.Logf("%d bytes a revocation in Redis", (memory()-before)/n)
	began := time.Now()
	late := open(t, config(s))
	took := time.Since(began)
	holds(t, n, late)
	t.Logf("%d read in %v, until the relay was ready", n, took)
	var was, is runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&was)
	fresh := open(t, config(s))
	runtime.GC()
	runtime.ReadMemStats(&is)
	holds(t, n, fresh)
	t.Logf("%d bytes a revocation in a relay, with what else a relay takes", (int(is.HeapAlloc)-int(was.HeapAlloc))/n)
}

// How long it takes until a revocation holds on three relays.
func TestRedisRevokeLatency(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	relays := openLeased(t, s, config(s), 3)
	var took []time.Duration
	for _, r := range users("u", 1, 51) {
		began := time.Now()
		revokes(t, relays[0], r, 3)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("p50 %v, max %v", took[25], took[49])
	if took[25] > time.Second {
		t.Errorf("p50 %v", took[25])
	}
}
