package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/metrics"
)

// counted is a client that counts its round trips, each by what is asked first, and how long it took.
type counted struct {
	rueidis.Client
	trips trips
}

// countedConn is one connection of a counted client.
type countedConn struct {
	rueidis.DedicatedClient
	trips trips
}

// trips are where round trips are counted.
type trips struct{ metrics *metrics.Metrics }

// newCounted returns c, counted. All scripts are shown from the beginning.
func newCounted(c rueidis.Client, m *metrics.Metrics) rueidis.Client {
	for _, script := range scriptNames() {
		m.RedisSeconds.Of(script)
		m.RedisErrors.Of(script)
	}
	return &counted{c, trips{m}}
}

// Do implements rueidis.Client.
func (c *counted) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	return c.trips.one(ctx, c.Client, cmd)
}

// DoMulti implements rueidis.Client.
func (c *counted) DoMulti(ctx context.Context, cmds ...rueidis.Completed) []rueidis.RedisResult {
	return c.trips.many(ctx, c.Client, cmds)
}

// DoCache implements rueidis.Client. What the cache answers is no trip.
func (c *counted) DoCache(ctx context.Context, cmd rueidis.Cacheable, ttl time.Duration) rueidis.RedisResult {
	name, began := nameOf(cmd.Commands()), time.Now()
	r := c.Client.DoCache(ctx, cmd, ttl)
	if !r.IsCacheHit() {
		c.trips.count(name, began, r)
	}
	return r
}

// Dedicate implements rueidis.Client.
func (c *counted) Dedicate() (rueidis.DedicatedClient, func()) {
	conn, release := c.Client.Dedicate()
	return &countedConn{conn, c.trips}, release
}

// Do implements rueidis.DedicatedClient.
func (c *countedConn) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	return c.trips.one(ctx, c.DedicatedClient, cmd)
}

// DoMulti implements rueidis.DedicatedClient.
func (c *countedConn) DoMulti(ctx context.Context, cmds ...rueidis.Completed) []rueidis.RedisResult {
	return c.trips.many(ctx, c.DedicatedClient, cmds)
}

func (t trips) one(ctx context.Context, c rueidis.CoreClient, cmd rueidis.Completed) rueidis.RedisResult {
	name, began := nameOf(cmd.Commands()), time.Now() // the command is not ours any more after the call
	r := c.Do(ctx, cmd)
	t.count(name, began, r)
	return r
}

func (t trips) many(ctx context.Context, c rueidis.CoreClient, cmds []rueidis.Completed) []rueidis.RedisResult {
	if len(cmds) == 0 {
		return c.DoMulti(ctx)
	}
	name, began := nameOf(cmds[0].Commands()), time.Now()
	all := c.DoMulti(ctx, cmds...)
	t.count(name, began, all...)
	return all
}

// count counts a trip, and whether something of it failed. A script that Redis has forgotten is taught
// to it, and a read that was given up by another who waited for it is made again: neither is an error.
func (t trips) count(name metrics.Call, began time.Time, results ...rueidis.RedisResult) {
	t.metrics.RedisSeconds.Of(name).Observe(time.Since(began).Seconds())
	for _, r := range results {
		err := r.Error()
		if err != nil && !rueidis.IsRedisNil(err) && !isNoScript(err) && !errors.Is(err, rueidis.ErrDoCacheAborted) {
			t.metrics.RedisErrors.Of(name).Inc()
			return
		}
	}
}

// nameOf returns what a command is counted as: its script in lower case, or the command in capitals.
// Commands are ours, so there are as many as this package has.
func nameOf(words []string) metrics.Call {
	name := strings.ToUpper(words[0])
	if !strings.HasPrefix(name, "EVAL") {
		return metrics.Call(name)
	}
	if script, known := scriptNames()[words[1]]; known {
		return script
	}
	return metrics.Call(name)
}

// scriptNames are the scripts' names, by hash and by text. What writes notices as well goes by the same name.
var scriptNames = sync.OnceValue(func() map[string]metrics.Call {
	names := map[string]metrics.Call{}
	files, _ := lua.ReadDir("lua") // it is in the binary
	for _, f := range files {
		name, isScript := strings.CutSuffix(f.Name(), ".lua")
		if !isScript {
			continue
		}
		for _, s := range []script{load(name, false), loadNoticing(name, 0), loadNoticing(name, 3), loadWith(name, false, "notes"), loadWith(name, false, "trim")} {
			names[s.sha], names[s.text] = metrics.Call(name), metrics.Call(name)
		}
	}
	return names
})

// causeOf returns why the streams are read: the connection is new, or something is missing.
func causeOf(isNew bool) metrics.CatchUp {
	if isNew {
		return metrics.CatchUpConnection
	}
	return metrics.CatchUpGap
}

// timed is a health check that is timed on its way round: one at a time, since others may be under way
// with it. It is guarded by feed.mu.
type timed struct {
	number uint64
	since  time.Time     // zero: none is under way
	took   time.Duration // what the last one took
}

func (t *timed) begin(number uint64) {
	if t.since.IsZero() {
		t.number, t.since = number, time.Now()
	}
}

// end takes one that has come round. If it is a later one, that which is timed is lost, and so long
// nothing came.
func (t *timed) end(number uint64) {
	if !t.since.IsZero() && number >= t.number {
		t.took, t.since = time.Since(t.since), time.Time{}
	}
}

// RoundTrip implements broker.Broker.
func (b *Broker) RoundTrip() time.Duration { return b.feed.lag() }

// lag is how long what is published takes to come back or, if that is more, has not come.
func (f *feed) lag() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timed.since.IsZero() {
		return f.timed.took
	}
	return max(f.timed.took, time.Since(f.timed.since))
}
