package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// What becomes of revocations whose store fails.

// A relay that was cut off hears of it when it is back, before what was published after it.
func testRevokedAway(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := openLeased(t, store, 2)
	here, away := relays[0], relays[1]
	v := judgeAt(away)
	stop, err := away.Subscribe(t.Context(), "a", v, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, before := v.state()
	mend := away.Cut()
	r := broker.Revocation{User: "ann", Until: inAnHour()}
	if got, err := here.Revoke(t.Context(), r); !errors.Is(err, broker.ErrUnavailable) || !got.Stored || got.Unreached != 1 {
		t.Errorf("with a relay cut off: %+v, %v", got, err)
	}
	revokedAt(t, true, "ann", here)
	revokedAt(t, false, "ann", away)
	publish(t, here, "a", "ben", "1", "later")
	mend()
	want := append(before, r.Subject(), "later")
	var got []string
	eventually(t, func() string { return fmt.Sprintf("%q: %q", want, got) }, func() bool { _, got = v.state(); return len(got) >= len(want) })
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	var said broker.Coverage
	eventually(t, func() string { return fmt.Sprintf("what it holds, it says: %+v", said) }, func() bool {
		said, err = here.Revoke(t.Context(), r)
		return err == nil && said.Holds == 2
	})
}

// A store that comes back with all it had.
func testRevokedRestarted(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	relays := openLeased(t, store, 2)
	revoke(t, relays[0], broker.Revocation{User: "ann", Until: inAnHour()}, 2)
	store.Save()() // back to this very moment
	ready(t, relays...)
	for _, b := range relays {
		b.Kill()
	}
	late := store.Open(t)
	ready(t, late)
	revokedAt(t, true, "ann", late)
}

// Of a store that was emptied, the relays that hold it bring it back.
func testRevokedFlushed(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	relays := openLeased(t, store, 2)
	r := broker.Revocation{User: "ann", IssuedBefore: 5, Until: inAnHour(), Reauth: true}
	revoke(t, relays[0], r, 2)
	v := judgeAt(relays[1])
	before, _ := v.state()
	store.Flush()
	broughtBack(t, store, r, relays...)
	ben := broker.Revocation{User: "ben", Until: inAnHour()}
	revoke(t, relays[0], ben, 2)
	v.are(t, append(before, ben)...)
}

// broughtBack waits until the store has a revocation again: one relay that knows nothing reads it. If
// all others are named, it leaves no lease behind.
func broughtBack(t *testing.T, store *Store, r broker.Revocation, others ...*Relay) {
	t.Helper()
	fresh := store.Open(t)
	ready(t, fresh)
	var got broker.Revocation
	eventually(t, func() string { return fmt.Sprintf("brought back: %+v", got) }, func() bool {
		got, _ = fresh.IsRevoked(r.User, "", "", 0)
		return got == r
	})
	if len(others) > 0 { // one that closes before it has its lease may get it all the same
		leased(t, append(others, fresh)...)
	}
	fresh.Close(t.Context())
}

// A store that lost the last that it had taken, and has grown again to the same number of them.
func testRevokedRolledBack(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	relays := openLeased(t, store, 2)
	here, away := relays[0], relays[1]
	kept := broker.Revocation{User: "kept", IssuedBefore: 5, Until: inAnHour(), Reauth: true}
	revoke(t, here, kept, 2)
	rollback := store.Save()
	lost := broker.Revocation{User: "lost", Until: inAnHour()}
	stricter := kept
	stricter.IssuedBefore = 10
	revoke(t, here, lost, 2)
	revoke(t, here, stricter, 2)
	here.Kill()
	mend := away.Cut()
	rollback()
	third := store.Open(t)
	ready(t, third)
	revokedAt(t, true, "kept", third)
	revokedAt(t, false, "lost", third)
	for i := range 2 {
		if got, err := third.Revoke(t.Context(), broker.Revocation{User: fmt.Sprint("new", i), Until: inAnHour()}); !got.Stored {
			t.Fatal(got, err)
		}
	}
	mend()
	eventually(t, "all known to both", func() bool {
		for _, b := range []*Relay{away, third} {
			if got, _ := b.IsRevoked("kept", "", "", 0); got != stricter {
				return false
			}
			for _, user := range []string{"lost", "new0", "new1"} {
				if _, revoked := b.IsRevoked(user, "", "", 0); !revoked {
					return false
				}
			}
		}
		return true
	})
	broughtBack(t, store, stricter)
	broughtBack(t, store, lost)
}

func testRevokeUnavailable(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	relay := openLeased(t, store, 1)[0]
	stalls := wiretest.WatchStalls(t)
	refused := func(r broker.Revocation) {
		t.Helper()
		began := time.Now()
		got, err := relay.Revoke(t.Context(), r)
		if !errors.Is(err, broker.ErrUnavailable) || got.Stored {
			t.Errorf("without the store: %+v, %v", got, err)
		}
		if d := stalls.Since(began); d > 6*time.Second {
			t.Errorf("refused after %v", d)
		}
	}
	unfreeze := store.Freeze()
	refused(broker.Revocation{User: "frozen", Until: inAnHour()})
	unfreeze()
	ready(t, relay)
	store.Stop()
	eventually(t, "noticed", func() bool { return relay.Ready() != nil })
	ann := broker.Revocation{User: "ann", Until: inAnHour()}
	refused(ann)
	revokedAt(t, false, "ann", relay)
	store.Start()
	ready(t, relay)
	revoke(t, relay, ann, 1)
	revokedAt(t, true, "ann", relay)
}
