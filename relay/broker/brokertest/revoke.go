package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// verdicts keeps what OnRevoked said of one relay, and what was delivered to a room there.
type verdicts struct {
	mu    sync.Mutex
	heard []broker.Revocation
	all   []string // subjects and bodies, as they came
}

func judgeAt(b broker.Broker) *verdicts {
	v := &verdicts{}
	b.OnRevoked(func(some []broker.Revocation) {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, r := range some {
			if strings.HasPrefix(r.Token, nobody) {
				continue
			}
			v.heard = append(v.heard, r)
			v.all = append(v.all, r.Subject())
		}
	})
	return v
}

func (v *verdicts) Load(s broker.Snapshot, _ string) { v.note(bodies(s.Messages)...) }
func (v *verdicts) Deliver(m broker.Message)         { v.note(m.Body) }
func (v *verdicts) Signal(s broker.Signal)           { v.note(s.Body) }
func (v *verdicts) Presence(broker.Change)           {}

func (v *verdicts) note(some ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, some...)
}

func (v *verdicts) state() (heard []broker.Revocation, all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.heard), slices.Clone(v.all)
}

// are checks what was heard, in order.
func (v *verdicts) are(t *testing.T, want ...broker.Revocation) {
	t.Helper()
	if got, _ := v.state(); !slices.Equal(got, want) {
		t.Errorf("heard %+v, want %+v", got, want)
	}
}

func inAnHour() int64 { return time.Now().Add(time.Hour).UnixMilli() }

// minRevokeWait is less than what a relay waits for others before it says that they have not been reached.
const minRevokeWait = 1500 * time.Millisecond

// revoke ends a right, which holds on as many relays then. If that was waited for in vain, and not given up
// early, it is said again, as whoever revokes would: the machine may have stood still for as long.
func revoke(t *testing.T, b broker.Broker, r broker.Revocation, relays int) {
	t.Helper()
	began := time.Now()
	got, err := b.Revoke(t.Context(), r)
	for tries, at := 0, began; tries < 3 && got.Stored && got.Unreached > 0 && time.Since(at) > minRevokeWait; tries++ {
		at = time.Now()
		got, err = b.Revoke(t.Context(), r)
	}
	if err != nil || got != (broker.Coverage{Stored: true, Holds: relays}) {
		t.Errorf("revoke %+v: %+v, %v after %v", r, got, err, time.Since(began))
	}
}

// revokedAt checks whether a user's right has ended at relays.
func revokedAt(t *testing.T, want bool, user string, relays ...*Relay) {
	t.Helper()
	for i, b := range relays {
		if r, got := b.IsRevoked(user, "", "", 0); got != want || got && r.User != user {
			t.Errorf("relay %d: %q revoked: %v, %+v", i, user, got, r)
		}
	}
}

// nobody begins the tokens that are revoked to count relays.
const nobody = "nobody"

// leased waits until relays, which are all, are counted among those that live.
func leased(t *testing.T, relays ...*Relay) {
	t.Helper()
	for i, b := range relays {
		var got broker.Coverage
		eventually(t, func() string { return fmt.Sprintf("%d relays: %+v", len(relays), got) }, func() bool {
			got, _ = b.Revoke(t.Context(), broker.Revocation{Token: fmt.Sprint(nobody, i), Until: inAnHour()})
			return got.Holds == len(relays)
		})
	}
}

// openLeased starts n relays that are counted among those that live.
func openLeased(t *testing.T, store *Store, n int) (relays []*Relay) {
	t.Helper()
	for range n {
		relays = append(relays, store.Open(t))
	}
	leased(t, relays...)
	return relays
}

func testRevoked(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relay := openLeased(t, store, 1)[0]
	until := inAnHour()
	user := broker.Revocation{User: "ann", IssuedBefore: 1000, Until: until}
	token := broker.Revocation{Token: "jti \x00 1", Until: until, Reauth: true}
	session := broker.Revocation{Session: "s1", Until: until}
	revoke(t, relay, user, 1)
	v := judgeAt(relay)
	if got, _ := v.state(); !slices.Contains(got, user) {
		t.Errorf("held before: %+v", got)
	}
	v = judgeAt(relay)
	before, _ := v.state()
	revoke(t, relay, token, 1)
	revoke(t, relay, session, 1)
	revoke(t, relay, token, 1) // which changes nothing
	v.are(t, append(before, token, session)...)
	for _, c := range []struct {
		user, token, session string
		issued               int64
		want                 broker.Revocation
	}{
		{"ann", "", "", 999, user}, {"ann", "", "", 0, user}, {"ann", "", "", 1000, broker.Revocation{}},
		{"ben", token.Token, "", 5000, token}, {"", "", "s1", 5000, session}, {"", "", "ann", 0, broker.Revocation{}},
		{"ann", token.Token, "", 999, user}, {"ann", token.Token, "s1", 5000, session}, {"ben", "x", "y", 0, broker.Revocation{}},
		{"", "", "", 0, broker.Revocation{}},
	} {
		if got, revoked := relay.IsRevoked(c.user, c.token, c.session, c.issued); got != c.want || revoked != (c.want.Until != 0) {
			t.Errorf("%+v: %+v, %v", c, got, revoked)
		}
	}
	long := string(make([]byte, broker.MaxRevokedID+1))
	for _, bad := range []broker.Revocation{{Until: until}, {User: "a", Token: "b", Until: until}, {User: "a"}, {User: long, Until: until}, {User: "a", IssuedBefore: -1, Until: until}} {
		if got, err := relay.Revoke(t.Context(), bad); err == nil || errors.Is(err, broker.ErrUnavailable) || got.Stored {
			t.Errorf("%.40s: %+v, %v", bad.Subject(), got, err)
		}
	}
	relay.Close(t.Context())
	if _, err := relay.Revoke(t.Context(), user); !errors.Is(err, broker.ErrClosed) {
		t.Error("closed: ", err)
	}
}

func testRevokedStricter(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := openLeased(t, store, map[bool]int{false: 1, true: 2}[h.Shared])
	one, other := relays[0], relays[len(relays)-1]
	v := judgeAt(other)
	before, _ := v.state()
	until := inAnHour()
	type r = broker.Revocation
	var want []r
	for _, c := range []struct{ said, holds r }{
		{r{IssuedBefore: 1000, Until: until, Reauth: true}, r{IssuedBefore: 1000, Until: until, Reauth: true}},
		{r{IssuedBefore: 900, Until: until - 5, Reauth: true}, r{}},
		{r{IssuedBefore: 2000, Until: until - 5, Reauth: true}, r{IssuedBefore: 2000, Until: until, Reauth: true}},
		{r{IssuedBefore: 1, Until: until + 1000, Reauth: true}, r{IssuedBefore: 2000, Until: until + 1000, Reauth: true}},
		{r{IssuedBefore: 1, Until: until}, r{IssuedBefore: 2000, Until: until + 1000}},
		{r{Until: until, Reauth: true}, r{Until: until + 1000}},
		{r{IssuedBefore: 9000, Until: until, Reauth: true}, r{}},
	} {
		c.said.User, c.holds.User = "ann", "ann"
		revoke(t, one, c.said, len(relays))
		if c.holds.Until != 0 {
			want = append(want, c.holds)
		}
	}
	v.are(t, append(before, want...)...)
	if h.Shared { // what the store holds, one that opens later knows
		late := store.Open(t)
		ready(t, late)
		relays = append(relays, late)
	}
	for _, b := range relays {
		if got, _ := b.IsRevoked("ann", "", "", 1<<50); got != want[len(want)-1] {
			t.Errorf("holds: %+v", got)
		}
	}
}

func testRevocationsExpire(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relay := openLeased(t, store, 1)[0]
	revoke(t, relay, broker.Revocation{User: "past", Until: time.Now().UnixMilli() - 1000}, 1)
	revokedAt(t, false, "past", relay)
	long := broker.Revocation{User: "long", Until: inAnHour()}
	revoke(t, relay, long, 1)
	short := broker.Revocation{User: "short", Until: time.Now().UnixMilli() + 5000}
	revoke(t, relay, short, 1)
	revokedAt(t, true, "short", relay)
	revokedAt(t, true, "long", relay)
	stalls, end := wiretest.WatchStalls(t), time.UnixMilli(short.Until)
	eventually(t, "expired", func() bool { _, revoked := relay.IsRevoked("short", "", "", 0); return !revoked })
	if late := time.Since(end); late < 0 || stalls.Since(end) > time.Second {
		t.Errorf("expired %v too late", late)
	}
	revokedAt(t, true, "long", relay)
	v := judgeAt(relay)
	if got, _ := v.state(); slices.Contains(got, short) || !slices.Contains(got, long) {
		t.Errorf("told of %+v", got)
	}
	again := broker.Revocation{User: "short", IssuedBefore: 5, Until: inAnHour(), Reauth: true}
	revoke(t, relay, again, 1) // of which one that has expired makes nothing stricter
	if got, _ := relay.IsRevoked("short", "", "", 0); got != again {
		t.Errorf("after one that has expired: %+v", got)
	}
}

// What is revoked on one relay is so on another, when Revoke returns, and on one that opens later.
func testRevokedEverywhere(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := openLeased(t, store, 2)
	v := judgeAt(relays[1])
	before, _ := v.state()
	r := broker.Revocation{User: "ann", Until: inAnHour()}
	revoke(t, relays[0], r, 2)
	v.are(t, append(before, r)...)
	revokedAt(t, true, "ann", relays...)
	late := store.Open(t)
	ready(t, late)
	revokedAt(t, true, "ann", late)
	if got, _ := judgeAt(late).state(); !slices.Contains(got, r) {
		t.Errorf("the third is told of %+v", got)
	}
	for _, b := range append(relays, late) { // all relays restart
		b.Kill()
	}
	late = store.Open(t)
	ready(t, late)
	revokedAt(t, true, "ann", late)
}

// Nothing that was published after a revocation is delivered before it.
func testRevokedThenDelivered(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := openLeased(t, store, 2)
	one, other := relays[0], relays[1]
	v := judgeAt(other)
	stop, err := other.Subscribe(t.Context(), "a", v, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, want := v.state()
	for i := range 50 {
		r := broker.Revocation{User: fmt.Sprint("u", i), Until: inAnHour()}
		revoke(t, one, r, 2)
		body := fmt.Sprint("m", i)
		publish(t, one, "a", "ann", body, body)
		want = append(want, r.Subject(), body)
	}
	var got []string
	eventually(t, func() string { return fmt.Sprintf("%q: %q", want, got) }, func() bool {
		_, got = v.state()
		return slices.Equal(got, want)
	})
}

// Revoke waits for a relay that is away for a moment, and not for ever: if it fails, it says so.
func testRevokeWaits(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := openLeased(t, store, 2)
	one, other := relays[0], relays[1]
	mend := other.Cut()
	time.AfterFunc(300*time.Millisecond, mend)
	began := time.Now()
	got, err := one.Revoke(t.Context(), broker.Revocation{User: "ann", Until: inAnHour()})
	_, held := other.IsRevoked("ann", "", "", 0)
	switch d := time.Since(began); {
	case err == nil && !held:
		t.Errorf("said to hold after %v, and does not: %+v", d, got)
	case err != nil && (d < minRevokeWait || got != (broker.Coverage{Stored: true, Holds: 1, Unreached: 1})): // it may be slow to come back
		t.Errorf("given up after %v: %+v, %v", d, got, err)
	}
	eventually(t, "held", func() bool { _, held := other.IsRevoked("ann", "", "", 0); return held })
	ready(t, one, other)
	for tries := 0; !revokedAtDeaf(t, one, other, fmt.Sprint("ben", tries)); tries++ {
		if tries == 5 {
			t.Fatal("a relay that is deaf is always waited for until it hears")
		}
		ready(t, one, other)
	}
}

// revokedAtDeaf checks what Revoke says of a relay that is deaf, as it is for a few seconds until it notices. It
// reports whether that was time enough: on a machine that stands still it may not be.
func revokedAtDeaf(t *testing.T, one, deaf *Relay, user string) bool {
	t.Helper()
	deaf.Deafen() // it answers, and renews its lease
	stalls, began := wiretest.WatchStalls(t), time.Now()
	got, err := one.Revoke(t.Context(), broker.Revocation{User: user, Until: inAnHour()})
	_, heard := deaf.IsRevoked(user, "", "", 0)
	took, all := stalls.Since(began), time.Since(began)
	eventually(t, "heard", func() bool { _, revoked := deaf.IsRevoked(user, "", "", 0); return revoked })
	if took > 4*time.Second {
		t.Errorf("waited for %v", took)
	}
	if all > 2500*time.Millisecond {
		return false
	}
	if !errors.Is(err, broker.ErrUnavailable) || got != (broker.Coverage{Stored: true, Holds: 1, Unreached: 1}) || heard {
		t.Errorf("one of two is deaf: %+v, %v, after %v; it has heard: %v", got, err, all, heard)
	}
	revokedAt(t, true, user, one)
	return true
}

// Of mutes the last word holds, on all relays; they end nobody's right to be connected.
func testMuted(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := openLeased(t, store, map[bool]int{false: 1, true: 2}[h.Shared])
	one, other := relays[0], relays[len(relays)-1]
	v := judgeAt(other)
	want, _ := v.state()
	now := time.Now()
	long, short, over := now.Add(5*time.Hour), now.Add(2*time.Hour), now.Add(-time.Second)
	for _, said := range []broker.Revocation{broker.Mute("ann", "", long), broker.Mute("ann", "", short), broker.Mute("ann", "a room", long),
		broker.Mute("ann", "", over), broker.Mute("ann", "", long)} {
		revoke(t, one, said, len(relays))
		said.Until = long.UnixMilli()
		want = append(want, said)
	}
	v.are(t, want...)
	revokedAt(t, false, "ann", relays...)
	for _, bad := range []broker.Revocation{broker.Mute("", "", long), {User: "a", Room: "r", Until: inAnHour()}, broker.Mute("a\x00b", "", long),
		broker.Mute("a", string(make([]byte, broker.MaxRevokedID+1)), long), {User: "a", Muted: "a", Until: inAnHour()}} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v is good", bad)
		}
	}
	if h.Shared {
		late := store.Open(t)
		ready(t, late)
		heard, _ := judgeAt(late).state()
		for _, w := range want[len(want)-3:] {
			if w.Room == "" && w.IssuedBefore == over.UnixMilli() {
				continue // not the last word
			}
			if !slices.Contains(heard, w) {
				t.Errorf("one that opens later hears %+v, and not %+v", heard, w)
			}
		}
	}
}
