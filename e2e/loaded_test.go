package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/nemesis"
	"setu/e2e/swarm"
	"setu/relay/wiretest"
)

// These stories measure, so they run one after the other, and not with others.

// memoryBound is what a relay may take under any load here, in bytes: GOMEMLIMIT, which nemesis sets
// to 128 MiB, and a quarter for what that does not count, such as the program itself.
const memoryBound = 160 << 20

// loaded is relays as processes over one Redis.
type loaded struct {
	t     *testing.T
	redis *cluster.Redis
}

func startLoaded(t *testing.T, args ...string) *loaded {
	t.Helper()
	cluster.Require(t)
	return &loaded{t, cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{ExtraArgs: args})}
}

func (l *loaded) relay(name string, env ...string) *nemesis.Relay {
	l.t.Helper()
	return nemesis.StartRelay(l.t, name, wiretest.NewLink(l.t, l.redis.Address()), append([]string{"LOG_LEVEL=warn"}, env...)...)
}

// staysSmall checks that a relay has kept to its memory, and has not panicked.
func (l *loaded) staysSmall(r *nemesis.Relay) {
	l.t.Helper()
	peak := r.Peak()
	l.t.Logf("%s took at most %d MiB of memory", r.Name(), peak>>20)
	if peak > memoryBound {
		l.t.Errorf("%s took %d MiB of memory; %d are its bound", r.Name(), peak>>20, memoryBound>>20)
	}
	if strings.Contains(r.Log(), "panic") {
		l.t.Errorf("%s panicked", r.Name())
	}
}

// dial connects a client that joins a room.
func (l *loaded) dial(r *nemesis.Relay, name, room string, o swarm.Options) *swarm.Client {
	l.t.Helper()
	c, err := swarm.Dial(r.Address(), authOf(name), o)
	if err == nil {
		l.t.Cleanup(c.Close)
		err = c.Join(room)
	}
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	return c
}

func authOf(name string) swarm.Auth {
	return swarm.Auth{Name: name, Key: "the-long-secret-of-" + name}
}

// number is a number that the environment may change.
func number(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}

// quantiles sorts durations and puts them into words.
func quantiles(all []time.Duration) (p95 time.Duration, words string) {
	if len(all) == 0 {
		return 0, "none"
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(10 * time.Microsecond) }
	return at(0.95), fmt.Sprintf("%d: p50 %v, p95 %v, p99 %v, max %v", len(all), at(0.5), at(0.95), at(0.99), at(1))
}

// inTime fails the test and cuts everything off if a story takes too long, so that nobody waits for
// ever for a packet.
func (l *loaded) inTime(within time.Duration, relays ...*nemesis.Relay) {
	late := time.AfterFunc(within, func() {
		l.t.Errorf("not done within %v", within)
		for _, r := range relays {
			r.Kill()
		}
	})
	l.t.Cleanup(func() { late.Stop() })
}

// speaker publishes, one message after the other, and hears itself.
type speaker struct {
	*swarm.Client
	l    *loaded
	asks int
}

// say publishes once, and waits for the answer.
func (s *speaker) say(room, data string) swarm.Answer {
	s.l.t.Helper()
	s.asks++
	if err := s.Publish(s.asks, room, fmt.Sprint("said-", s.asks), data); err != nil {
		s.l.t.Fatalf("publish: %v", err)
	}
	for {
		packet, err := s.Next()
		if err != nil {
			s.l.t.Fatalf("publish: %v", err)
		}
		if !swarm.IsAnswer(packet) {
			continue
		}
		ask, answer, err := swarm.ParseAnswer(packet)
		if err != nil {
			s.l.t.Fatal(err)
		}
		if ask == s.asks {
			return answer
		}
	}
}

// said is say that must be taken.
func (s *speaker) said(room, data string) uint64 {
	s.l.t.Helper()
	answer := s.say(room, data)
	if !answer.OK {
		s.l.t.Fatalf("a publish in %s is answered %+v", room, answer)
	}
	return answer.Seq
}
