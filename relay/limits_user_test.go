package relay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

func TestMaxUserConnections(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		const auth = `{"key":"0123456789abcdef"}`
		first := r.Open()
		first.Connect(auth)
		p := r.Open()
		p.Connect(auth)
		q := r.Open()
		q.Packet()
		q.Text("40" + auth)
		if got := q.Packet(); !strings.Contains(got, `"code":"rate_limited","retry":5000`) {
			t.Fatal(got)
		}
		r.guest("somebody else")
		_ = first.Conn.Close()
		synctest.Wait()
		r.Open().Connect(auth)
	}, "MAX_USER_CONNECTIONS=2")
}

// A session whose user has as many other connections as may be is refused as a new one would be, at
// once, and can be resumed when one of them has gone. Its own last connection is none of them.
func TestMaxUserConnectionsAndResume(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning(`"key":"0123456789abcdef",`)
		connect := func() *wiretest.Peer {
			p := r.Open()
			p.Connect(`{"key":"0123456789abcdef"}`)
			return p
		}
		other := connect()
		began := time.Now()
		for range 2 {
			last := s.Conn
			s.again() // while its last connection is still there
			s.expectRecovered(true)
			_ = last.Close()
		}
		s.cut()
		synctest.Wait()
		another := connect()
		for range 2 {
			got := r.refused(fmt.Sprintf(`{"key":"0123456789abcdef","pid":%q,"offset":%q}`, s.pid, s.offset))
			if !strings.Contains(got, `"code":"rate_limited","retry":5000`) {
				t.Error(got)
			}
		}
		_ = other.Conn.Close()
		synctest.Wait()
		s.again()
		s.expectRecovered(true)
		if d := time.Since(began); d > 0 {
			t.Errorf("after %v", d)
		}
		another.Nothing()
	}, "MAX_USER_CONNECTIONS=2")
}

// What another relay has told of a user's connections may be over: a resume waits until it would know, and
// is refused then.
func TestResumeOfAUserElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const key = `"key":"0123456789abcdef"`
		all := &party{subs: map[string][]broker.Subscriber{}}
		var relays []*rig
		for range 2 {
			l := wiretest.NewPipes()
			b := partyBroker{broker.NewMemory(broker.Limits{History: 10, TTL: time.Hour, Recovery: time.Hour}), all}
			r := newRig(t, l, l.Dial, b, "MAX_USER_CONNECTIONS=1", "RELAY_ID="+fmt.Sprint("relay-", len(relays)))
			defer r.close()
			relays = append(relays, r)
		}
		s := relays[0].returning(key + ",")
		s.cut()
		<-time.After(5 * time.Second)
		p := relays[1].Open()
		p.Connect("{" + key + "}")
		<-time.After(1500 * time.Millisecond)
		began := time.Now()
		if got := relays[0].refused(fmt.Sprintf(`{%s,"pid":%q,"offset":%q}`, key, s.pid, s.offset)); !strings.Contains(got, codeRateLimited) {
			t.Error(got)
		}
		if d := time.Since(began); d < 4*time.Second || d > 6*time.Second {
			t.Errorf("refused after %v", d)
		}
		time.AfterFunc(500*time.Millisecond, func() { _ = p.Conn.Close() })
		s.again()
		s.expectRecovered(true)
	})
}

// party carries signals between the memory brokers of several relays.
type party struct {
	mu   sync.Mutex
	subs map[string][]broker.Subscriber // by room; guarded by mu
}

// partyBroker is a memory broker whose relays hear one another's signals.
type partyBroker struct {
	*broker.Memory
	party *party
}

func (b partyBroker) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	stop, err := b.Memory.Subscribe(ctx, room, sub, list)
	b.party.mu.Lock()
	defer b.party.mu.Unlock()
	b.party.subs[room] = append(b.party.subs[room], sub)
	return stop, err
}

func (b partyBroker) Signal(room, sender, body string) {
	b.party.mu.Lock()
	defer b.party.mu.Unlock()
	for _, sub := range b.party.subs[room] {
		sub.Signal(broker.Signal{Sender: sender, Body: body})
	}
}

// A user on three relays has at once three bursts and what two seconds bring, and in the long run no more
// than the limit and two tenths of it.
func TestUserOnThreeRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const relays, per, burst, seconds = 3, 20, 40, 30
		all := &party{subs: map[string][]broker.Subscriber{}}
		var members []*wiretest.Peer
		for range relays {
			l := wiretest.NewPipes()
			b := partyBroker{broker.NewMemory(broker.Limits{History: 10, TTL: time.Hour, Recovery: time.Hour}), all}
			r := newRig(t, l, l.Dial, b, "PUBLISH_RATE=off", fmt.Sprintf("USER_PUBLISH_RATE=%d/s:%d", per, burst))
			defer r.close()
			p := r.Open()
			p.Connect(`{"key":"0123456789abcdef"}`)
			if got := p.Call("join", `{"room":"room"}`); wiretest.Field(t, got, "ok") != "true" {
				t.Fatal(got)
			}
			members = append(members, p)
		}
		stored, worst := 0, 0
		for second := range seconds {
			for range 9 { // 27 a second: more than the limit, and less than costs the connection
				<-time.After(time.Second / 9)
				for _, p := range members {
					for range 2 {
						if got := p.Call("publish", `{"room":"room","data":1}`); wiretest.Field(t, got, "ok") == "true" {
							stored++
						}
						p.Held = nil
					}
				}
			}
			worst = max(worst, stored-(second+1)*per)
		}
		t.Logf("%d stored in %d s, at most %d more than the rate", stored, seconds, worst)
		if most := relays * (burst + 2*per); worst > most {
			t.Errorf("at once %d more than the rate, not %d", worst, most)
		}
		if most := burst + per*seconds*12/10 + relays*2*per; stored > most {
			t.Errorf("%d in %d s, not %d", stored, seconds, most)
		}
		if stored < per*seconds*8/10 {
			t.Errorf("%d in %d s", stored, seconds)
		}
	})
}
