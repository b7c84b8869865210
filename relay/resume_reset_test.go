package relay

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// tap is a broker that lets a test call its subscribers.
type tap struct {
	*broker.Memory

	mu   sync.Mutex
	subs map[string]broker.Subscriber // by room; guarded by mu
}

func (b *tap) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	b.mu.Lock()
	b.subs[room] = sub
	b.mu.Unlock()
	return b.Memory.Subscribe(ctx, room, sub, list)
}

func (b *tap) subscriber(room string) broker.Subscriber {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.subs[room]
}

// A client that may not have heard that something is missing is not told that it has everything.
// Its answer to the next ping shows that it did.
func TestResumeAfterAReset(t *testing.T) {
	for _, pong := range []bool{false, true} {
		t.Run(fmt.Sprint(pong), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &tap{Memory: broker.NewMemory(settings(t).Limits()), subs: map[string]broker.Subscriber{}}
				l := wiretest.NewPipes()
				r := newRig(t, l, l.Dial, b)
				defer r.close()
				s := r.returning("")
				s.Call("join", `{"room":"a"}`)
				say(s.Peer, 1, "a")
				s.hear()
				tail, _ := r.srv.hub.Tail("a")
				b.subscriber("a").Load(broker.Snapshot{Tail: tail}, "trimmed")
				s.take(s.Packet()) // the reset
				if pong {
					s.take(s.Packet()) // a ping
					s.Call("ping", "{}")
				}
				s.cut()
				s.again()
				s.expectRecovered(pong)
			})
		})
	}
}
