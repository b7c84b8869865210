package redis_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// await reads metrics until enough says that they show it.
func await(t *testing.T, m *metrics.Metrics, what string, enough func(map[string]float64) bool) map[string]float64 {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		got := wiretest.Series(t, m.Handler())
		if enough(got) {
			return got
		}
		if time.Now().After(end) {
			t.Fatal("no sign of ", what)
		}
	}
}

// Every trip to Redis is counted by what it is for, and no name is made of what clients say.
func TestTripsAreCounted(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	cfg.Metrics = metrics.New()
	cfg.Self = broker.Peer{Node: "node", URL: "http://10.0.0.1:1"}
	b := open(t, cfg)
	count := func(call string) float64 {
		return wiretest.Series(t, cfg.Metrics.Handler())[`setu_redis_call_duration_seconds_count{call="`+call+`"}`]
	}
	publish(t, b, "odd", "first") // Redis is taught the script
	before := count("publish")
	publish(t, b, "odd", "odd")
	if n := count("publish") - before; n != 1 {
		t.Errorf("%v trips for a publish", n)
	}
	b.Publish(t.Context(), broker.Publication{Room: "odd", User: "odd", ID: "1", Body: "odd"}, broker.Publication{Room: "odd", User: "odd", ID: "2", Body: "odd"})
	if n := count("publish") - before; n != 2 {
		t.Errorf("%v trips, with one for a batch", n)
	}
	stop, err := b.Subscribe(t.Context(), "odd", &counter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for range 2 { // the second is the cache's to answer
		if _, _, err := b.History(t.Context(), "odd", broker.Offset{}, 10); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Enter(t.Context(), "odd", broker.User{ID: "odd"}); err != nil {
		t.Fatal(err)
	}
	b.Signal("odd", "odd", "odd")
	await(t, cfg.Metrics, "a signal", func(map[string]float64) bool { return count("PUBLISH") == 1 })
	// Subscribed to: this relay's own channel, once more before the first health check, that of revocations, and the room.
	for call, want := range map[string]float64{"SUBSCRIBE": 4, "XREVRANGE": 1} {
		if n := count(call); n != want {
			t.Errorf("%v trips of %s, want %v", n, call, want)
		}
	}
	got := wiretest.Series(t, cfg.Metrics.Handler())
	if n := got[`setu_catch_ups_total{cause="connection"}`]; n != 1 {
		t.Errorf("%v catch-ups", n)
	}
	if lag := got["setu_subscription_lag_seconds"]; lag <= 0 || lag > 5 {
		t.Errorf("a lag of %v s", lag)
	}
	for series, n := range got {
		if strings.Contains(series, "odd") || strings.Contains(series, "EVAL") || strings.HasPrefix(series, "setu_redis_errors") && n != 0 {
			t.Error(series, n)
		}
	}
}

// What Redis refuses, or does not answer, is an error; while nothing comes back, the lag rises, and
// when it does again, it falls.
func TestTroubleIsCounted(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cfg := config(s)
	cfg.Metrics = metrics.New()
	b := open(t, cfg)
	s.do(t, "CONFIG SET maxmemory 1")
	if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "u", ID: "1", Body: "b"}); r[0].Err == nil {
		t.Fatal("Redis takes more than it may hold")
	}
	s.do(t, "CONFIG SET maxmemory 0")
	if n := wiretest.Series(t, cfg.Metrics.Handler())[`setu_redis_errors_total{call="publish"}`]; n != 1 {
		t.Errorf("%v errors", n)
	}
	s.signal(syscall.SIGSTOP)
	await(t, cfg.Metrics, "a lag", func(got map[string]float64) bool { return got["setu_subscription_lag_seconds"] > 3 })
	s.signal(syscall.SIGCONT)
	await(t, cfg.Metrics, "no lag any more", func(got map[string]float64) bool { return got["setu_subscription_lag_seconds"] < 1 })
	await(t, cfg.Metrics, "a new connection", func(got map[string]float64) bool { return got[`setu_catch_ups_total{cause="connection"}`] > 0 })
}
