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
	o.Lease = time.Second
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
	end := time.Now().Add(3 * o.Lease) // it is renewed
	for time.Now().Before(end) {
		found(other, one.Self)
		pass(50 * time.Millisecond)
	}
	third.Kill()
	within(t, 3*o.Lease, "gone", func() bool {
		_, err := one.Peer(t.Context(), third.Self.Node)
		return errors.Is(err, broker.ErrGone)
	})
	other.Close(context.Background())
	within(t, o.Lease/2, "withdrawn", func() bool {
		_, err := one.Peer(t.Context(), other.Self.Node)
		return errors.Is(err, broker.ErrGone)
	})
	found(one, one.Self)
}

// others waits until a relay has these for its others.
func others(t *testing.T, d time.Duration, of *Relay, want ...*Relay) {
	t.Helper()
	var got []broker.Peer
	var err error
	within(t, d, func() string { return fmt.Sprintf("the others: %+v, %v", got, err) }, func() bool {
		got, err = of.Others(t.Context())
		return err == nil && len(got) == len(want) && !slices.ContainsFunc(want, func(r *Relay) bool { return !slices.Contains(got, r.Self) })
	})
}

// Those that drain, were killed or have closed are not among the others. Those that drain can be
// found until they close.
func testOthers(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = 2 * time.Second
	store, lease := h.New(t, o), o.Lease
	one, other, third := store.Open(t), store.Open(t), store.Open(t)
	others(t, patience, one, other, third)
	others(t, patience, third, one, other)
	order := map[string]bool{}
	for range 100 {
		got, _ := one.Others(t.Context())
		order[fmt.Sprint(got)] = true
	}
	if len(order) < 2 {
		t.Error("always in one order")
	}
	other.Drain()
	others(t, lease/2, one, third)
	others(t, lease/2, other, one, third)
	end := time.Now().Add(2 * lease) // which it renews
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
	others(t, 3*lease, one)
	late := store.Open(t)
	others(t, patience, one, late)
	late.Close(context.Background())
	others(t, lease/2, one)
}

// A store that was emptied soon knows again who drains and who does not.
func testOthersFlushed(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other, third := store.Open(t), store.Open(t), store.Open(t)
	others(t, patience, one, other, third)
	other.Drain()
	others(t, patience, one, third)
	store.Flush()
	others(t, patience, one, third)
	others(t, patience, third, one)
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
