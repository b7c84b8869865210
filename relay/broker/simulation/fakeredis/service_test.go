package fakeredis_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
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
			if got, err := b.Revoke(t.Context(), broker.Revocation{User: "u", Until: time.Now().Add(time.Minute).UnixMilli()}); got.Holds != 1 || err != nil {
				t.Error(got, err)
			}
			if _, revoked := b.IsRevoked("u", "", "", 0); !revoked {
				t.Error("not revoked")
			}
			before := s.Commands()
			<-time.After(time.Hour)
			t.Logf("an hour: %d commands", s.Commands()-before)
		})
	}
}

// A server that is demoted keeps its connections, and holds what the new primary holds, from then on.
func TestDemotedFollows(t *testing.T) {
	s := fakeredis.New(1)
	defer s.Close()
	do := func(args ...string) {
		t.Helper()
		if _, err := s.Do(args...); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := s.Dial("old")(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	old := newWire(conn)
	old.do("HELLO", "3")
	old.do("CLIENT", "TRACKING", "ON", "OPTIN")
	do("SET", "kept", "1")
	s.ReplicationLag(-1)
	do("SET", "lost", "1")
	old.do("CLIENT", "CACHING", "YES")
	if got := old.do("GET", "lost"); got != `"1"` {
		t.Fatal(got)
	}
	s.Demote()
	for _, tt := range []struct{ change, key, want string }{{"", "lost", "_"}, {"", "kept", `"1"`}, {"SET kept 2", "kept", `"2"`}, {"SET new 3", "new", `"3"`}, {"DEL new", "new", "_"}} {
		if tt.change != "" {
			do(strings.Fields(tt.change)...)
		}
		if got := fmt.Sprint(old.do("GET", tt.key)); got != tt.want {
			t.Errorf("after %q it says %s of %q, not %s", tt.change, got, tt.key, tt.want)
		}
	}
	if got := fmt.Sprint(old.do("SET", "kept", "4")); !strings.Contains(got, "READONLY") {
		t.Errorf("it takes a write: %s", got)
	}
	if got := fmt.Sprint(old.takePushes()); !strings.Contains(got, "invalidate") {
		t.Errorf("it was pushed %s", got)
	}
}
