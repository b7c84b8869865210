package redis_test

import (
	"encoding/json"
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

func withLease(s *server, lease time.Duration) redis.Config {
	cfg := config(s)
	cfg.Lease = lease
	return cfg
}

func enterIn(t testing.TB, b broker.Broker, room, id string) {
	t.Helper()
	if _, err := b.Enter(t.Context(), room, broker.User{ID: id}); err != nil {
		t.Fatalf("%s enters %s: %v", id, room, err)
	}
}

func idOf(text string) string {
	var u broker.User
	_ = json.Unmarshal([]byte(text), &u)
	return u.ID
}

// membersEventually waits until a room's members are ids, in alphabetical order.
func membersEventually(t testing.TB, b broker.Broker, room string, ids ...string) {
	t.Helper()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("members %q, want %q", got, ids)
		}
	}()
	eventually(t, "with these members", func() bool {
		got = membersOf(t, b, room)
		return slices.Equal(got, ids)
	})
}

func membersOf(t testing.TB, b broker.Broker, room string) (ids []string) {
	users, _, err := b.Members(t.Context(), room, 100)
	if err != nil {
		return nil
	}
	for _, u := range users {
		ids = append(ids, idOf(u))
	}
	slices.Sort(ids)
	return ids
}

// presenceHeard is a subscriber that keeps changes of presence, as "+ann", and when they came.
type presenceHeard struct {
	counter
	mu    sync.Mutex
	heard []string
	at    []time.Time
}

func (p *presenceHeard) Presence(ch broker.Change) {
	if ch.Missed {
		return
	}
	sign := map[bool]string{true: "+", false: "-"}[ch.Joined]
	if ch.Renamed {
		sign = "="
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard, p.at = append(p.heard, sign+idOf(ch.User)), append(p.at, time.Now())
}

func (p *presenceHeard) changes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard)
}

func changesOf(t testing.TB, b broker.Broker, room string) *presenceHeard {
	t.Helper()
	p := &presenceHeard{}
	stop, err := b.Subscribe(t.Context(), room, p, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return p
}

// What a connection that was thought dead brings late does not count.
func TestRedisPresenceLateWrites(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	script := map[string]string{"leave": laterScript(t, "lua/leave.lua", nil),
		"enter": laterScript(t, "lua/enter.lua", map[string]string{"return out": "return out[1]", "return {-1}": "return -1", "return {-2}": "return -2"})}
	s.do(t, "ZADD lives 9999999999999 me")
	enter := func(number, want string) {
		t.Helper()
		if got := s.do(t, "EVAL", script["enter"], "4", "lives", "life", "write", "members", "me", "60000", number, "1", "room:a", "a", "ann", `{"id":"ann"}`, "1"); got != want {
			t.Errorf("enter %s: %s, want %s", number, got, want)
		}
	}
	leave := func(number, want string) {
		t.Helper()
		if got := s.do(t, "EVAL", script["leave"], "4", "lives", "life", "write", "members", "me", number, "1", "room:a", "a", "ann"); got != want {
			t.Errorf("leave %s: %s, want %s", number, got, want)
		}
	}
	holds := func(members, places string) {
		t.Helper()
		if m, n := s.do(t, "HVALS members"), s.do(t, "SCARD life"); m != members || n != places {
			t.Errorf("members %q, places %s", m, n)
		}
	}
	const there = `,me,|{"id":"ann"}`
	enter("1", "1")
	enter("1", "1") // tried again
	leave("2", "0")
	enter("1", "-2")
	holds("", "0")
	enter("9", "1")
	leave("2", "-2")
	leave("8", "-2")
	enter("9", "1")
	holds(there, "1")
	leave("10", "0")
	enter("9", "-2")
	holds("", "0")
	leave("", "0") // the life ends
	enter("11", "-1")
	if keys := s.do(t, "DBSIZE"); keys != "0" {
		t.Error("left behind: ", s.do(t, "KEYS *"))
	}
}

// Whatever happened: what is recorded is brought in step with who is here.
func TestRedisPresenceReconciled(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, other := open(t, withLease(s, 10*time.Second)), open(t, withLease(s, 10*time.Second))
	for _, id := range []string{"ann", "ben", "carl"} {
		enterIn(t, b, "a", id)
	}
	enterIn(t, b, "b", "ann")
	enterIn(t, other, "c", "x")
	life := ""
	for l := range strings.FieldsSeq(s.do(t, "ZRANGE setu{0}:lives 0 -1")) {
		if s.do(t, "SISMEMBER setu{0}:life:"+l, "b\x00ann") == "1" {
			life = l
		}
	}
	ghost := func() {
		s.do(t, "SADD setu{0}:life:"+life, "a\x00ghost")
		s.do(t, "HSET setu{0}:members:a ghost", ","+life+`,|{"id":"ghost"}`)
	}
	ghost()
	membersEventually(t, other, "a", "ann", "ben", "carl")
	// One too many and one too few, so that the numbers agree, and Redis was away.
	ghost()
	s.do(t, "SREM setu{0}:life:"+life, "a\x00ben")
	s.do(t, "HDEL setu{0}:members:a ben")
	s.do(t, "CLIENT KILL TYPE pubsub")
	membersEventually(t, other, "a", "ann", "ben", "carl")
	// All that is recorded under the life.
	s.do(t, "DEL setu{0}:life:"+life)
	eventually(t, "recorded again", func() bool { return s.do(t, "SCARD setu{0}:life:"+life) == "4" })
}

// A room's key that Redis has evicted is made good at once by whoever notices that its own users are
// missing: from the list, from what an entry answers, or from what others' entries announce.
func TestRedisMembersEvicted(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, other := open(t, withLease(s, 10*time.Second)), open(t, withLease(s, 10*time.Second))
	for _, id := range []string{"ann", "ben", "carl"} {
		enterIn(t, b, "a", id)
	}
	evict := func() { s.do(t, "DEL setu{0}:members:a") }
	all := []string{"ann", "ben", "carl"}
	membersEventually(t, b, "a", all...)

	evict() // seen by who reads
	eventually(t, "read and made good", func() bool {
		return slices.Equal(membersOf(t, b, "a"), all) && s.do(t, "HLEN setu{0}:members:a") == "3"
	})

	evict() // seen by who enters
	enterIn(t, b, "a", "dora")
	all = append(all, "dora")
	membersEventually(t, other, "a", all...)

	changesOf(t, b, "a")
	evict() // seen by who hears of others
	enterIn(t, other, "a", "eve")
	all = append(all, "eve")
	membersEventually(t, other, "a", all...)

	evict() // and begun anew by many others
	for _, id := range []string{"x0", "x1", "x2", "x3", "x4"} {
		enterIn(t, other, "a", id)
		all = append(all, id)
	}
	membersEventually(t, b, "a", all...)
	membersEventually(t, other, "a", all...)
}

// If the list was just read and lacks users of this relay, the answer has them all the same.
func TestRedisMembersEvictedAnswer(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	enterIn(t, b, "a", "ann")
	enterIn(t, b, "a", "ben")
	s.do(t, "DEL setu{0}:members:a")
	s.do(t, "HSET setu{0}:members:a zoe", `,elsewhere,|{"id":"zoe"}`)
	if got := membersOf(t, b, "a"); !slices.Equal(got, []string{"ann", "ben", "zoe"}) {
		t.Errorf("members %q", got)
	}
	eventually(t, "made good", func() bool { return s.do(t, "HLEN setu{0}:members:a") == "3" })
}

// The users of a relay that has died leave within a second after its lease has ended, whenever that
// is.
func TestRedisLeaseEnds(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	const lease = 10 * time.Second // by which it would look every few seconds only
	b := open(t, withLease(s, lease))
	heard, stalls := changesOf(t, b, "a"), wiretest.WatchStalls(t)
	var ends []time.Time
	for i := range 5 {
		end := time.Now().Add(lease + 2*time.Second + time.Duration(i)*700*time.Millisecond)
		life, user := fmt.Sprint("life", i), fmt.Sprint("u", i)
		s.do(t, "HSET setu{0}:members:a", user, ","+life+`,|{"id":"`+user+`"}`)
		s.do(t, "SADD setu{0}:life:"+life, "a\x00"+user)
		s.do(t, fmt.Sprintf("ZADD setu{0}:lives %d %s", end.UnixMilli(), life))
		ends = append(ends, end)
	}
	eventually(t, "gone", func() bool { return len(heard.changes()) == len(ends) })
	heard.mu.Lock()
	defer heard.mu.Unlock()
	for i, end := range ends {
		late := heard.at[i].Sub(end)
		t.Logf("%s after %v", heard.heard[i], late.Round(time.Millisecond))
		if heard.heard[i] != fmt.Sprint("-u", i) || late < -10*time.Millisecond || stalls.Between(end, heard.at[i]) > lease/4 {
			t.Errorf("%s came %v after the lease's end", heard.heard[i], late)
		}
	}
	if n := s.do(t, "KEYS setu{0}:life:*"); n != "" {
		t.Errorf("left: %q", n)
	}
}

// Taking out many places of a dead relay, at a distance, holds up nobody and costs nobody the lease.
func TestRedisManyTakenOut(t *testing.T) {
	t.Parallel()
	s, log := ownServer(t), &wiretest.Log{}
	const places, lease = 30_000, 6 * time.Second
	way := wiretest.NewLink(t, s.addr)
	way.Set(wiretest.Quality{Delay: 150 * time.Millisecond}) // each way: it takes longer than the lease
	cfg := withLease(s, lease)
	cfg.URL = "redis://" + way.Address()
	b := openRedis(t, cfg, newLog(log))
	waitReady(t, b)
	heard := changesOf(t, b, "room7")
	fill := `for i = ARGV[1], ARGV[2] do local room, user = 'room' .. i % 300, 'u' .. i
redis.call('HSET', 'setu{0}:members:' .. room, user, ',dead,|{"id":"' .. user .. '"}')
redis.call('SADD', 'setu{0}:life:dead', room .. '\0' .. user) end`
	for from := 1; from <= places; from += 1000 { // all at once would keep Redis busy for as long as a relay waits
		s.do(t, "EVAL", fill, "0", fmt.Sprint(from), fmt.Sprint(from+999))
	}
	lives := func() string { return strings.ReplaceAll(s.do(t, "ZRANGE setu{0}:lives 0 -1"), "dead", "") }
	life, began, joins, slowest := lives(), time.Time{}, 0, time.Duration(0)
	s.do(t, "ZADD setu{0}:lives 1 dead")
	stalls := wiretest.WatchStalls(t)
	for gone := false; !gone; joins++ {
		at := time.Now()
		eventually(t, "entered", func() bool {
			_, err := b.Enter(t.Context(), "mine", broker.User{ID: fmt.Sprint("u", joins)})
			return err == nil
		})
		slowest = max(slowest, stalls.Since(at))
		left, _ := strconv.Atoi(s.do(t, "SCARD setu{0}:life:dead"))
		if left < places && began.IsZero() {
			began = at
		}
		gone = left == 0
		if joins > 300 {
			t.Fatal("still there: ", left)
		}
	}
	t.Logf("%d places in %v; the slowest of %d joins took %v", places, time.Since(began).Round(time.Millisecond), joins, slowest.Round(time.Millisecond))
	if slowest > 2*time.Second {
		t.Errorf("a join took %v", slowest)
	}
	if strings.TrimSpace(lives()) != strings.TrimSpace(life) || strings.Contains(log.String(), "lease was lost") {
		t.Errorf("lives %q, then %q:\n%s", life, lives(), log)
	}
	eventually(t, "told", func() bool { return len(heard.changes()) == places/300 })
}

// lives are those that Redis knows of.
func (s *server) lives(t testing.TB) []string {
	t.Helper()
	return slices.Sorted(strings.FieldsSeq(s.do(t, "ZRANGE setu{0}:lives 0 -1")))
}

// awaitTakenOut waits until nothing is left of lives.
func (s *server) awaitTakenOut(t testing.TB, former []string) {
	t.Helper()
	eventually(t, "taken out", func() bool {
		return !slices.ContainsFunc(s.lives(t), func(life string) bool { return slices.Contains(former, life) })
	})
}

// Where Redis comes back as it was before, those who are still here neither leave nor join, though
// the leases that it holds have ended, and those who had left by then do.
func TestRedisOlderNoFlicker(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	const lease = 6 * time.Second
	b, way := linkedFor(t, s, lease, &wiretest.Log{})
	other, otherWay := linkedFor(t, s, lease, &wiretest.Log{})
	enterIn(t, b, "a", "ann")
	enterIn(t, b, "a", "gone")
	enterIn(t, other, "a", "ben")
	rollback := s.save(t)
	b.Leave("a", "gone")
	membersEventually(t, other, "a", "ann", "ben")
	one, two := changesOf(t, b, "a"), changesOf(t, other, "a")
	mend, mendOther := way.Cut(), otherWay.Cut()
	rollback()
	former := s.lives(t)
	for _, life := range former { // all leases in what was kept have ended
		s.do(t, "ZADD setu{0}:lives 1 "+life)
	}
	mend()
	mendOther()
	waitReady(t, b)
	waitReady(t, other)
	membersEventually(t, other, "a", "ann", "ben")
	s.awaitTakenOut(t, former)
	for _, heard := range []*presenceHeard{one, two} {
		for _, ch := range heard.changes() {
			if ch != "-gone" {
				t.Errorf("heard %q", heard.changes())
			}
		}
	}
}

// Where the lease holds in what Redis came back with, those who came since are recorded again, and
// those who went since leave again.
func TestRedisOlderLeaseHolds(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, other := open(t, config(s)), open(t, config(s))
	enterIn(t, b, "a", "went")
	rollback := s.save(t)
	b.Leave("a", "went")
	enterIn(t, b, "a", "came")
	membersEventually(t, other, "a", "came")
	rollback()
	waitReady(t, other)
	membersEventually(t, other, "a", "came")
}
