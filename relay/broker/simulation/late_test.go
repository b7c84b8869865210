package simulation

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/broker/simulation/fakeredis"
)

// An answer that comes after the relay has left the epoch it is of, and has told its members of the
// gap, is none: what was published is published anew, lest nobody hears that it was lost.
func TestLateAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := fakeredis.New(1)
		service.SetLink("tokyo", fakeredis.Link{Delay: 20 * time.Millisecond})
		dial, published := service.Dial("tokyo"), make(chan *gate, 1)
		b, err := redis.Open(redis.Config{URL: "redis://redis:6379", Lease: 15 * time.Second, Limits: broker.Limits{History: 8, TTL: time.Hour, Recovery: time.Hour},
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				c, err := dial(ctx, address)
				if err != nil {
					return nil, err
				}
				own := &gate{}
				return &watched{Conn: own.conn(c), phrase: "the-second", seen: func() {
					select {
					case published <- own:
					default: // it is published anew
					}
				}}, nil
			}}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		l := &counting{}
		if _, err := b.Subscribe(t.Context(), "a", l, 0); err != nil {
			t.Fatal(err)
		}
		b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: "m1", Body: "{}"})
		service.ReplicationLag(-1)
		answer := make(chan broker.Receipt)
		go func() {
			answer <- b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: "the-second", Body: "{}"})[0]
		}()
		way := <-published                  // the connection of what is published, not the feed's
		<-time.After(30 * time.Millisecond) // it is stored, and the answer is on its way
		way.freeze()
		<-time.After(30 * time.Millisecond)
		service.Failover()
		<-time.After(2 * time.Second)
		if l.delivered.Load() != 2 || l.gaps.Load() != 1 {
			t.Errorf("%d messages and %d gaps were told", l.delivered.Load(), l.gaps.Load())
		}
		way.thaw()
		r := <-answer
		if r.Err != nil || r.Offset.Epoch != b.Head().Epoch {
			t.Errorf("answered %+v, in epoch %s", r, b.Head().Epoch)
		}
		kept, err := service.Do("XLEN", "setu{0}:stream:a")
		if n, _ := kept.(int64); err != nil || n != 2 {
			t.Errorf("Redis holds %v messages, %v", kept, err)
		}
		<-time.After(time.Second)
		if l.delivered.Load() != 3 {
			t.Errorf("%d messages were told, the last after the gap", l.delivered.Load())
		}
		_ = b.Close(t.Context())
		service.Close()
	})
}

// watched is a connection that tells when a phrase is written to it.
type watched struct {
	net.Conn
	phrase string
	seen   func()
}

// Write implements net.Conn.
func (w *watched) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.phrase)) {
		w.seen()
	}
	return w.Conn.Write(p)
}

// counting counts what it is told, by the feed's goroutine, for the test's.
type counting struct{ delivered, gaps atomic.Int32 }

// Load implements broker.Subscriber.
func (l *counting) Load(_ broker.Snapshot, reason string) {
	if reason != "" {
		l.gaps.Add(1)
	}
}

// Deliver implements broker.Subscriber.
func (l *counting) Deliver(broker.Message) { l.delivered.Add(1) }

// Signal implements broker.Subscriber.
func (l *counting) Signal(broker.Signal) {}

// Presence implements broker.Subscriber.
func (l *counting) Presence(broker.Change) {}
