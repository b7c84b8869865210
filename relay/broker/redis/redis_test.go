package redis_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
	"setu/relay/broker/brokertest"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

// atOnce is how many tests run at a time: they wait for time-outs, so the processors are no
// measure.
const atOnce = 12

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" || f.Name == "test.fuzz" })
	if !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { shared.stop(); exit(code) }))
}

func TestRedis(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	brokertest.Run(t, brokertest.Harness{New: newRedisStore, Shared: true, Outages: true})
}

// stores counts stores: each has its own prefix, also where a test runs again.
var stores atomic.Int64

func newRedisStore(t *testing.T, o brokertest.Options) *brokertest.Store {
	s := &server{}
	if o.Own {
		s = ownServer(t)
	} else {
		s = sharedServer(t)
	}
	prefix, stopped := fmt.Sprintf("%s-%d", t.Name(), stores.Add(1)), false
	return &brokertest.Store{
		Open: func(t *testing.T) *brokertest.Relay {
			l := wiretest.NewLink(t, s.addr)
			cfg := redis.Config{URL: "redis://" + l.Address(), Prefix: prefix, Lease: o.Lease, Self: newSelf(), Limits: o.Limits}
			b := openRedis(t, cfg, testLog(t))
			if !stopped {
				waitReady(t, b)
			}
			return &brokertest.Relay{Broker: b, Self: cfg.Self, Kill: b.Kill, Drop: l.Drop, Cut: l.Cut, Hang: l.Hang, Deafen: l.Deafen}
		},
		Flush: func() { s.do(t, "FLUSHALL") },
		Wipe: func() {
			s.kill()
			os.Remove(s.dump())
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
		},
		Save: func() func() { return s.save(t) },
		Stop: func() {
			s.do(t, "SAVE")
			s.kill()
			stopped = true
		},
		Start: func() {
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			stopped = false
		},
		Freeze: func() func() {
			s.signal(syscall.SIGSTOP)
			return func() { s.signal(syscall.SIGCONT) }
		},
	}
}

func newSelf() broker.Peer {
	node := rand.Text()
	return broker.Peer{Node: node, URL: "http://" + node + ":8080", Machine: "machine of " + node}
}

func openRedis(t testing.TB, cfg redis.Config, log *slog.Logger) *redis.Broker {
	t.Helper()
	b, err := redis.Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		b.Close(ctx)
	})
	return b
}

// patience is how long a test waits for what must happen, however busy the machine is.
const patience = time.Minute

func waitReady(t testing.TB, b broker.Broker) {
	t.Helper()
	eventually(t, "ready", func() bool { return b.Ready() == nil })
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not %s", what)
		}
	}
}

// testLog keeps the log, and shows it if the test fails.
func testLog(t testing.TB) *slog.Logger {
	l := &wiretest.Log{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", l)
		}
	})
	return newLog(l)
}

func newLog(l *wiretest.Log) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// counter is the cheapest subscriber.
type counter struct{ n, signals, changes atomic.Int64 }

func (*counter) Load(broker.Snapshot, string) {}
func (c *counter) Deliver(broker.Message)     { c.n.Add(1) }
func (c *counter) Signal(broker.Signal)       { c.signals.Add(1) }
func (c *counter) Presence(broker.Change)     { c.changes.Add(1) }
