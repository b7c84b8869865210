package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// slowRooms is a broker that opens rooms only when it may.
type slowRooms struct {
	*broker.Memory
	may chan struct{}
}

func (b *slowRooms) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	<-b.may
	return b.Memory.Subscribe(ctx, room, sub, list)
}

// Who is revoked while an answer is awaited, for which all else is held back, is told why all the same.
func TestRevokedWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowRooms{broker.NewMemory(settings(t).Limits()), make(chan struct{})}
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, b)
		defer r.close()
		defer close(b.may)
		p := r.Open()
		w, _ := p.Connect("")
		p.Text(`421["join",{"room":"a"}]`)
		synctest.Wait()
		if _, err := b.Revoke(t.Context(), broker.Revocation{User: w.User.ID, Until: time.Now().Add(time.Hour).UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		expectPrefix(t, p, `42["error_event",{"ok":false,"error":{"code":"revoked"`)
		p.Expect("41")
	})
}
