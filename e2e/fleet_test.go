package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// patience bounds what a story waits for. Generous, since machines that run
// tests are shared.
const patience = 90 * time.Second

// kept is HISTORY_LIMIT: more than people say while one of them is away.
const kept = 2000

// fleet is what most stories begin with: a Redis, two relays that share it, and
// a history of what their members do.
type fleet struct {
	t             testing.TB
	network       *cluster.Network
	redis         *cluster.Redis
	dublin, tokyo *cluster.Relay
	room          string
	history       *judge.History
	wiped         bool // Redis was, once at least
}

// startFleet starts Redis, and both relays with env.
func startFleet(t testing.TB, redis cluster.RedisOptions, env map[string]string) *fleet {
	t.Helper()
	cluster.Require(t)
	f := &fleet{t: t, network: cluster.NewNetwork(t), room: "lobby", history: judge.Record(t, judge.Rules{Kept: kept})}
	f.redis = cluster.StartRedis(t, f.network, redis)
	f.dublin = f.relay("dublin", env)
	f.tokyo = f.relay("tokyo", env)
	return f
}

// in is another story with the same fleet, in a room of its own.
func (f *fleet) in(t testing.TB) *fleet {
	t.Helper()
	other := *f
	other.t, other.room, other.history = t, t.Name(), judge.Record(t, judge.Rules{Kept: kept})
	return &other
}

// relay starts one more relay.
func (f *fleet) relay(name string, env map[string]string) *cluster.Relay {
	f.t.Helper()
	env = maps.Clone(env)
	if env == nil {
		env = map[string]string{}
	}
	if env["HISTORY_LIMIT"] == "" {
		env["HISTORY_LIMIT"] = strconv.Itoa(kept)
	}
	return cluster.StartRelay(f.t, f.network, cluster.RelayOptions{Name: name, Region: name[:3], Redis: f.redis, Env: env})
}

// connect brings a client to the first relay; it goes to the others when that is gone.
func (f *fleet) connect(name string, relays ...*cluster.Relay) *client.Client {
	f.t.Helper()
	return client.Connect(f.t, client.Options{Name: name, History: f.history, Relays: endpoints(relays)})
}

func endpoints(relays []*cluster.Relay) (urls []string) {
	for _, r := range relays {
		urls = append(urls, r.WS())
	}
	return urls
}

// join connects a client as connect does, and has it join the room.
func (f *fleet) join(name string, relays ...*cluster.Relay) *client.Client {
	f.t.Helper()
	m := f.connect(name, relays...)
	m.Join(f.room, client.JoinOptions{History: kept, Presence: true})
	return m
}

// do is a fault, or its end, that whoever reads the history should see.
func (f *fleet) do(what string, step func()) {
	f.t.Helper()
	f.history.Note("=== %s", what)
	step()
	f.history.Note("=== done: %s", what)
}

// conclude ends a story: one last word that all must hear, and then the verdict.
func (f *fleet) conclude(members ...*client.Client) judge.Verdict {
	f.t.Helper()
	last := members[0].Say(f.room, "the end")
	for _, m := range members {
		m.AwaitMessage(f.room, last.ID)
	}
	verdict := f.history.Judge()
	if len(verdict.Faults) > 0 {
		f.t.Error(verdict)
	}
	return verdict
}

// crowd is people who talk until they are stopped.
type crowd struct {
	*fleet
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// talk has each client publish, one message after another, repeating what was
// not answered.
func (f *fleet) talk(members ...*client.Client) *crowd {
	ctx, stop := context.WithCancel(f.t.Context())
	c := &crowd{fleet: f, stop: stop}
	for _, m := range members {
		c.wg.Go(func() { c.chatter(ctx, m) })
	}
	f.t.Cleanup(c.end)
	return c
}

func (c *crowd) chatter(ctx context.Context, m *client.Client) {
	// Enough that every fault meets messages on their way, and little enough that
	// what is missed meanwhile is still kept.
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for n := 1; ctx.Err() == nil; n++ {
		// A publish that has begun is seen through: its answer counts.
		if _, err := m.Publish(c.t.Context(), c.room, m.NewID(), map[string]any{"n": n}); err != nil {
			c.t.Errorf("%s publishes: %v", m.Name(), err)
			return
		}
		select {
		case <-ctx.Done():
		case <-pace.C:
		}
	}
}

// end stops the talking and waits for the last answers.
func (c *crowd) end() {
	c.stop()
	c.wg.Wait()
}

// more waits until all of them have heard n more messages than now.
func (f *fleet) more(n int, members ...*client.Client) {
	f.t.Helper()
	want := make([]int, len(members))
	for i, m := range members {
		want[i] = len(m.Messages(f.room)) + n
	}
	cluster.Eventually(f.t, patience, fmt.Sprintf("%d more messages", n), func() error {
		for i, m := range members {
			if has := len(m.Messages(f.room)); has < want[i] {
				return fmt.Errorf("%s has %d of %d", m.Name(), has, want[i])
			}
		}
		return nil
	})
}
