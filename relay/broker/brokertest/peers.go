package brokertest

import (
	"bytes"
	"context"
	"errors"
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
