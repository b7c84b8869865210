package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"setu/relay/broker"
)

func noPeer(t *testing.T, relay *Relay, node string) {
	t.Helper()
	if p, err := relay.Peer(t.Context(), node); !errors.Is(err, broker.ErrGone) {
		t.Errorf("peer %.80q: %+v, %v", node, p, err)
	}
}

func secretOf(t *testing.T, relay *Relay) []byte {
	t.Helper()
	s, err := relay.Secret(t.Context())
	if err != nil || len(s) != 32 {
		t.Fatalf("secret %x, %v", s, err)
	}
	return s
}

func testNoPeers(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	for range 2 {
		noPeer(t, relay, "nobody")
		noPeer(t, relay, "")
		noPeer(t, relay, string(make([]byte, 1000)))
	}
	if others, err := relay.Others(t.Context()); len(others) > 0 || err != nil {
		t.Errorf("others: %+v, %v", others, err)
	}
	relay.Drain()
	secret := secretOf(t, relay)
	if bytes.Equal(secret, make([]byte, 32)) || !bytes.Equal(secret, secretOf(t, relay)) {
		t.Errorf("secret %x, then %x", secret, secretOf(t, relay))
	}
	if bytes.Equal(secret, secretOf(t, h.New(t, defaults()).Open(t))) && !h.Shared {
		t.Error("two stores have one secret")
	}
}

func testPeers(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = 5 * time.Second
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	found := func(relay *Relay, p broker.Peer) {
		t.Helper()
		eventually(t, "announced", func() bool {
			got, err := relay.Peer(t.Context(), p.Node)
			return err == nil && got == p
		})
	}
	found(one, one.Self)
	found(one, other.Self)
	noPeer(t, one, "bogus")
	third := store.Open(t)
	found(one, third.Self)
	end := time.Now().Add(2 * o.Lease) // it is renewed
	for time.Now().Before(end) {
		found(other, one.Self)
		pass(50 * time.Millisecond)
	}
	third.Kill()
	eventually(t, "gone", func() bool {
		_, err := one.Peer(t.Context(), third.Self.Node)
		return errors.Is(err, broker.ErrGone)
	})
	found(one, one.Self)
}

// Who closes can't be found any more, though the lease would have it so for long.
func testPeersWithdrawn(t *testing.T, h Harness) {
	store := h.New(t, forLong())
	one, other := store.Open(t), store.Open(t)
	for _, self := range []broker.Peer{one.Self, other.Self} {
		eventually(t, "announced", func() bool { got, err := one.Peer(t.Context(), self.Node); return err == nil && got == self })
	}
	other.Close(context.Background())
	eventually(t, "withdrawn", func() bool {
		_, err := one.Peer(t.Context(), other.Self.Node)
		return errors.Is(err, broker.ErrGone)
	})
	if got, err := one.Peer(t.Context(), one.Self.Node); err != nil || got != one.Self {
		t.Errorf("itself: %+v, %v", got, err)
	}
}

// forLong are options by which no lease ends while a test runs: whatever comes about, it is not for that.
func forLong() Options {
	o := defaults()
	o.Lease = time.Hour
	return o
}

// others waits until a relay has these for its others.
func others(t *testing.T, of *Relay, want ...*Relay) {
	t.Helper()
	var got []broker.Peer
	var err error
	eventually(t, func() string { return fmt.Sprintf("the others: %+v, %v", got, err) }, func() bool {
		got, err = of.Others(t.Context())
		return err == nil && len(got) == len(want) && !slices.ContainsFunc(want, func(r *Relay) bool { return !slices.Contains(got, r.Self) })
	})
}

// Those that drain or have closed are not among the others, though their leases hold.
func testOthers(t *testing.T, h Harness) {
	store := h.New(t, forLong())
	one, other, third := store.Open(t), store.Open(t), store.Open(t)
	others(t, one, other, third)
	others(t, third, one, other)
	order := map[string]bool{}
	for range 100 {
		got, _ := one.Others(t.Context())
		order[fmt.Sprint(got)] = true
	}
	if len(order) < 2 {
		t.Error("always in one order")
	}
	other.Drain()
	others(t, one, third)
	others(t, other, one, third)
	late := store.Open(t)
	others(t, one, third, late)
	late.Close(context.Background())
	others(t, one, third)
}

// Those that drain can be found until they close, and are not among the others; nor are those that were killed.
func testOthersDrain(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = 5 * time.Second
	store := h.New(t, o)
	one, other, third := store.Open(t), store.Open(t), store.Open(t)
	others(t, one, other, third)
	other.Drain()
	others(t, one, third)
	end := time.Now().Add(2 * o.Lease) // which it renews
	for time.Now().Before(end) {
		if p, err := one.Peer(t.Context(), other.Self.Node); p != other.Self || err != nil {
			t.Fatalf("one that drains: %+v, %v", p, err)
		}
		if got, err := one.Others(t.Context()); err != nil || slices.Contains(got, other.Self) {
			t.Fatalf("one that drains is among %+v, %v", got, err)
		}
		pass(50 * time.Millisecond)
	}
	third.Kill()
	others(t, one)
}

// A store that was emptied soon knows again who drains and who does not.
func testOthersFlushed(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other, third := store.Open(t), store.Open(t), store.Open(t)
	others(t, one, other, third)
	other.Drain()
	others(t, one, third)
	store.Flush()
	others(t, one, third)
	others(t, third, one)
}

func testSharedSecret(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	secret := secretOf(t, one)
	if got := secretOf(t, other); !bytes.Equal(secret, got) {
		t.Errorf("secrets %x and %x", secret, got)
	}
	one.Kill()
	if got := secretOf(t, store.Open(t)); !bytes.Equal(secret, got) {
		t.Errorf("secrets %x and, later, %x", secret, got)
	}
}

// A store that was emptied gets a secret from whoever asks first, the former one if it is known to
// them; all come to know it.
func testSecretFlushed(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	secretOf(t, one)
	secretOf(t, other)
	store.Flush()
	late := store.Open(t)
	for _, relay := range []*Relay{one, other} {
		eventually(t, "of one secret", func() bool { return bytes.Equal(secretOf(t, late), secretOf(t, relay)) })
	}
	store.Flush()
	ready(t, one, other, late)
	eventually(t, "of one secret, and found by who comes now", func() bool {
		ready(t, one, other, late)
		s := secretOf(t, store.Open(t))
		return bytes.Equal(s, secretOf(t, one)) && bytes.Equal(s, secretOf(t, other)) && bytes.Equal(s, secretOf(t, late))
	})
}
