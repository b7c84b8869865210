package broker

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Revoke implements Broker.
func (b *Memory) Revoke(_ context.Context, r Revocation) (Coverage, error) {
	if err := r.Check(); err != nil {
		return Coverage{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return Coverage{}, ErrClosed
	}
	held := Coverage{Stored: true, Holds: 1}
	was, known := b.heldRevocation(r.Subject())
	_, there := b.revoked[r.Subject()]
	switch {
	case known:
		r = was.With(r)
	case r.Until <= time.Now().UnixMilli():
		return held, nil
	case !there && len(b.revoked) >= MaxRevocations:
		if b.forgetRevoked(); len(b.revoked) >= MaxRevocations {
			return Coverage{}, ErrTooMany
		}
	}
	b.revoked[r.Subject()] = r
	if b.tell != nil && !(known && r == was) {
		b.tell([]Revocation{r})
	}
	return held, nil
}

// heldRevocation returns what holds of a subject. b.mu is held.
func (b *Memory) heldRevocation(subject string) (Revocation, bool) {
	r, ok := b.revoked[subject]
	return r, ok && r.Until > time.Now().UnixMilli()
}

// forgetRevoked lets go of revocations that have expired. b.mu is held.
func (b *Memory) forgetRevoked() {
	now := time.Now().UnixMilli()
	maps.DeleteFunc(b.revoked, func(_ string, r Revocation) bool { return r.Until <= now })
}

// OnRevoked implements Broker.
func (b *Memory) OnRevoked(f func([]Revocation)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetRevoked()
	b.tell = f
	if len(b.revoked) > 0 {
		f(slices.Collect(maps.Values(b.revoked)))
	}
}

// IsRevoked implements Broker.
func (b *Memory) IsRevoked(user, token, session string, issued int64) (Revocation, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return FindRevoked(user, token, session, issued, b.heldRevocation)
}
