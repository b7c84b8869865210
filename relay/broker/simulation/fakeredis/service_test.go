package fakeredis_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/broker/simulation/fakeredis"
)

type heard struct{ bodies []string }

func (h *heard) Load(s broker.Snapshot, reason string) {}
func (h *heard) Deliver(m broker.Message)              { h.bodies = append(h.bodies, m.Body) }
func (*heard) Signal(broker.Signal)                    {}
func (*heard) Presence(broker.Change)                  {}

// The broker works over the double, in a bubble, several times in one process.
func TestBrokerOverTheDouble(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			s := fakeredis.New(1)
			defer s.Close()
			s.SetLink("one", fakeredis.Link{Delay: 20 * time.Millisecond})
			b, err := redis.Open(redis.Config{URL: "redis://double:6379", Lease: 5 * time.Second, Dial: s.Dial("one"),
				Limits: broker.Limits{History: 10, TTL: time.Minute}}, slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close(context.Background())
			<-time.After(time.Second)
			synctest.Wait()
			if err := b.Ready(); err != nil {
				t.Fatal(err)
			}
			h := &heard{}
			stop, err := b.Subscribe(t.Context(), "a", h, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: "1", Body: "hello"})
			if r[0].Err != nil {
				t.Fatal(r[0].Err)
			}
			<-time.After(time.Second)
			synctest.Wait()
			if len(h.bodies) != 1 {
				t.Error(h.bodies)
			}
			if n, err := b.Enter(t.Context(), "a", broker.User{ID: "u", Name: "U"}); n != 1 || err != nil {
				t.Error(n, err)
			}
			if users, n, err := b.Members(t.Context(), "a", 10); n != 1 || len(users) != 1 || err != nil {
				t.Error(users, n, err)
			}
			page, _, err := b.History(t.Context(), "a", broker.Offset{}, 10)
			if len(page) != 1 || err != nil {
				t.Error(page, err)
			}
			before := s.Commands()
			<-time.After(time.Hour)
			t.Logf("an hour: %d commands", s.Commands()-before)
		})
	}
}
