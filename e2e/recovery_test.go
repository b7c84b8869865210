package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
)

// recovering is a client that goes on with its session, over whatever relay, as
// current stock clients do.
type recovering struct {
	*fleet
	auth  map[string]string
	rooms []string
	ben   *client.Client // who talks in all of them
	said  []string       // by him, in order: room and id
	*client.Session
}

// startRecovering has a client join three rooms over dublin.
func startRecovering(f *fleet) *recovering {
	f.t.Helper()
	r := &recovering{fleet: f, auth: map[string]string{"name": "asha", "key": "a-secret-of-asha-0123456789"},
		rooms: []string{"one", "two", "three"}, ben: f.connect("ben", f.tokyo, f.dublin)}
	r.Session = client.Open(f.t, f.dublin.WS(), r.auth)
	if r.PID == "" || r.Offset() == "" || len(r.Replayed) > 0 {
		f.t.Fatalf("opened with pid %q, offset %q and %v", r.PID, r.Offset(), r.Replayed)
	}
	for _, room := range r.rooms {
		r.ben.Join(room, client.JoinOptions{Presence: true})
		r.Session.Join(room)
	}
	return r
}

// talk has ben say n things, each in the next room.
func (r *recovering) talk(n int) (said []string) {
	r.t.Helper()
	for i := range n {
		room, data := r.rooms[len(r.said)%len(r.rooms)], any("hello")
		if i%4 == 1 {
			data = map[string]any{"bytes": client.Bytes([]byte{0, byte(i), 255})}
		}
		stored := r.ben.Say(room, data)
		r.said = append(r.said, room+" "+stored.ID)
	}
	return r.said[len(r.said)-n:]
}

// hearAll has ben say n things, and waits until the session has heard the last.
func (r *recovering) hearAll(n int) {
	r.t.Helper()
	before := len(lines(r.Session.Heard()))
	said := r.talk(n)
	last := r.said[len(r.said)-1]
	cluster.Eventually(r.t, patience, "the session hears "+last, func() error {
		if heard := lines(r.Session.Heard())[before:]; !slices.Equal(heard, said) {
			return fmt.Errorf("it heard %v of %v", heard, said)
		}
		return nil
	})
}

func lines(heard []client.Heard) (lines []string) {
	for _, h := range heard {
		lines = append(lines, h.Room+" "+h.ID)
	}
	return lines
}

// with is the auth that goes on with a session.
func (r *recovering) with(pid, offset string) map[string]string {
	auth := maps.Clone(r.auth)
	auth["pid"], auth["offset"] = pid, offset
	return auth
}

// goOn opens another connection with the session, which must have missed what
// was said, and nothing else.
func (r *recovering) goOn(at *cluster.Relay, missed []string) {
	r.t.Helper()
	id, pid := r.ID, r.PID
	r.Session = client.Open(r.t, at.WS(), r.with(pid, r.Offset()))
	if r.ID != id || r.PID != pid {
		r.t.Fatalf("came back at %s as another: sid %s, was %s; the same pid: %t", at.Name(), r.ID, id, r.PID == pid)
	}
	if replayed := lines(r.Replayed); !slices.Equal(replayed, missed) {
		r.t.Errorf("came back at %s, and was sent %v, having missed %v", at.Name(), replayed, missed)
	}
}

// isNew opens another connection with a session that can't be gone on with.
func (r *recovering) isNew(at *cluster.Relay, auth map[string]string) *client.Session {
	r.t.Helper()
	s := client.Open(r.t, at.WS(), auth)
	if s.ID == r.ID || s.PID == r.PID || s.PID == "" || len(s.Replayed) > 0 {
		r.t.Errorf("came back at %s as sid %s, pid %q, with %v: it should be somebody new", at.Name(), s.ID, s.PID, s.Replayed)
	}
	var no *client.Refusal
	if err := s.Publish("one", "new-1", "hello"); !errors.As(err, &no) || no.Code != "not_joined" {
		r.t.Errorf("somebody new publishes where it has not joined, and is answered %v", err)
	}
	return s
}

// On a Redis that lets relays do no more than they need.
func TestSessionGoesOn(t *testing.T) {
	t.Parallel()
	f := startFleet(t, restrictedRedis(t), nil)
	f.room = "one"
	r := startRecovering(f)
	r.hearAll(6)

	f.do("kill dublin", f.dublin.Kill)
	r.goOn(f.tokyo, r.talk(20))
	r.hearAll(3)
	if err := r.Publish("two", "asha-1", "I am back"); err != nil {
		t.Errorf("publishing in a room of the session: %v", err)
	}
	r.AwaitHeard("two", "asha-1")
	awaitCount(f, r.ben, 2)
	for _, room := range r.rooms {
		for _, p := range r.ben.Presence(room) {
			if len(p.Left) > 0 {
				t.Errorf("ben was told that somebody left %s: %v", room, p)
			}
		}
	}

	// Again, having heard something; and once more, having heard nothing.
	f.do("start dublin", f.dublin.Start)
	r.Session.Cut()
	r.goOn(f.dublin, r.talk(7))
	r.Session.Cut()
	r.goOn(f.tokyo, r.talk(5))
	r.Session.Cut()
	r.goOn(f.dublin, nil)
	r.hearAll(4)
	r.shareSession()
	nothingWasDenied(t, f.redis)
}

// shareSession has other connections use the session while one has it: the last
// that comes has it alone.
func (r *recovering) shareSession() {
	r.t.Helper()
	for _, relay := range []*cluster.Relay{r.dublin, r.tokyo} {
		former := r.Session
		r.goOn(relay, nil)
		former.AwaitEnd()
		r.hearAll(3)
	}

	// Two at the same time.
	offset, relays := r.Offset(), []*cluster.Relay{r.dublin, r.tokyo}
	former := r.Session
	sessions := make([]*client.Session, len(relays))
	var opening sync.WaitGroup
	for i, relay := range relays {
		opening.Go(func() {
			s, err := client.TryOpen(r.t, relay.WS(), r.with(r.PID, offset))
			if err != nil {
				r.t.Logf("%s: %v", relay.Name(), err) // it lost
				return
			}
			sessions[i] = s
		})
	}
	opening.Wait()
	former.AwaitEnd()
	cluster.Eventually(r.t, patience, "one of two has the session", func() error {
		sessions = slices.DeleteFunc(sessions, func(s *client.Session) bool { return s == nil || s.Ended() })
		if len(sessions) != 1 {
			return fmt.Errorf("%d of them go on", len(sessions))
		}
		return nil
	})
	if r.Session = sessions[0]; r.ID != former.ID || r.PID != former.PID || len(r.Replayed) > 0 {
		r.t.Errorf("sid %s, was %s; %v", r.ID, former.ID, r.Replayed)
	}
	r.hearAll(3)
}

func TestSessionIsOver(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"HISTORY_LIMIT": "20"})
	r := startRecovering(f)
	r.hearAll(3)

	r.Session.Cut()
	missed := r.talk(6)
	r.isNew(f.tokyo, r.with("a-pid-that-nobody-was-given", r.Offset()))
	r.isNew(f.tokyo, r.with(r.PID, "not an offset"))
	r.goOn(f.tokyo, missed) // for all that
	r.Session.Cut()
	r.talk(3*20 + 3) // one more than is kept, in each room
	s := r.isNew(f.dublin, r.with(r.PID, r.Offset()))

	// Redis loses everything.
	r.Session = s
	for _, room := range r.rooms {
		s.Join(room)
	}
	r.hearAll(3)
	s.Cut()
	f.do("flush Redis", func() { f.redis.CLI("FLUSHALL") })
	r.isNew(f.tokyo, r.with(r.PID, r.Offset()))
	r.Session = r.isNew(f.dublin, r.with(r.PID, r.Offset()))

	// Somebody else, who has come by its pid.
	other := r.with(r.PID, r.Offset())
	other["key"] = "a-secret-of-another-0123456789"
	r.isNew(f.tokyo, other)
}

// A session that moves from relay to relay all the time, while people talk in its
// rooms at both, a relay dies and Redis closes connections: it hears every
// message once, in each room in its order.
func TestSessionMovesUnderLoad(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, nil)
	f.room = "one"
	r := startRecovering(f)
	cleo := f.connect("cleo", f.dublin, f.tokyo)
	for _, room := range r.rooms {
		cleo.Join(room, client.JoinOptions{})
	}
	hush := r.chatter(r.ben, cleo)
	heard := []client.Heard{}
	move := func(to *cluster.Relay) {
		r.Session.Cut()
		heard = append(heard, r.Session.Heard()...)
		id, pid := r.ID, r.PID
		r.Session = client.Open(t, to.WS(), r.with(pid, r.Offset()))
		if r.ID != id || r.PID != pid {
			t.Fatalf("%s did not go on with the session, after %d messages", to.Name(), len(heard))
		}
		heard = append(heard, r.Replayed...)
	}
	for i := range 60 {
		to := []*cluster.Relay{f.dublin, f.tokyo}[i%2]
		switch i {
		case 15:
			f.do("close subscriptions", func() { f.redis.CLI("CLIENT", "KILL", "TYPE", "pubsub") })
		case 30:
			f.do("close connections", func() { f.redis.CLI("CLIENT", "KILL", "TYPE", "normal") })
		case 45:
			f.do("kill dublin", f.dublin.Kill)
			move(f.tokyo)
			f.do("start dublin", f.dublin.Start)
		}
		move(to)
		if i%3 == 0 { // else it hears what is replayed, and little more
			r.AwaitMore(10)
		}
	}
	hush()
	last := r.talk(len(r.rooms))
	for _, line := range last {
		room, id, _ := strings.Cut(line, " ")
		r.AwaitHeard(room, id)
	}
	heard = append(heard, r.Session.Heard()...)
	next := map[string]uint64{}
	for _, h := range heard {
		if want := next[h.Room] + 1; h.Seq != want {
			t.Fatalf("%s: heard %d after %d", h.Room, h.Seq, want-1)
		}
		next[h.Room] = h.Seq
	}
	t.Logf("heard %d messages over 61 moves", len(heard))
}

// chatter has members talk in all rooms until it is ended.
func (r *recovering) chatter(members ...*client.Client) (hush func()) {
	ctx, stop := context.WithCancel(r.t.Context())
	var talking sync.WaitGroup
	for _, m := range members {
		talking.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := m.Publish(r.t.Context(), r.rooms[n%len(r.rooms)], m.NewID(), n); err != nil {
					r.t.Errorf("%s publishes: %v", m.Name(), err)
					return
				}
				<-pace.C
			}
		})
	}
	return func() { stop(); talking.Wait() }
}
