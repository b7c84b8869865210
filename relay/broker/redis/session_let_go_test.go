package redis_test

import (
	"runtime"
	"strconv"
	"testing"
	"weak"

	"setu/relay/broker"
)

// connection stands for what a relay has of a client, which onFence refers to.
type connection struct{ buffer [1 << 10]byte }

// keepAll has as many sessions kept as there are connections, and returns their handles.
func keepAll(t *testing.T, b broker.Broker, name string, conns []*connection) (handles []broker.SessionHandle) {
	at := b.Head()
	for i, c := range conns {
		k := b.Keep(name+strconv.Itoa(i), broker.Session{}, func() { c.buffer[0]++ })
		join(t, k, "a", at)
		handles = append(handles, k)
	}
	return handles
}

// What a relay has of a connection goes with it, also while its session is kept for who comes back, and
// while Redis is yet to be told that it has ended.
func TestRedisSessionsLetConnectionsGo(t *testing.T) {
	t.Parallel()
	b := open(t, config(ownServer(t)))
	const n = 600 // more than are kept in a list for the next time that one is gone through
	for name, finish := range map[string]func(broker.SessionHandle){
		"ended":    broker.SessionHandle.End,
		"released": broker.SessionHandle.Release,
	} {
		var held []weak.Pointer[connection]
		func() { // so that nothing of it stays on the stack
			conns := make([]*connection, n)
			for i := range conns {
				conns[i] = new(connection)
				held = append(held, weak.Make(conns[i]))
			}
			for _, k := range keepAll(t, b, name, conns) {
				finish(k)
			}
		}()
		left := func() (left int) {
			runtime.GC()
			for _, p := range held {
				if p.Value() != nil {
					left++
				}
			}
			return left
		}
		eventually(t, name, func() bool { return left() <= 1 }) // the call that was made last may still be on a stack
	}
}
