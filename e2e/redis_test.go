package e2e_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/member"
)

func TestRedisRestartsWithItsFile(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{AppendOnly: true}, nil)
	asha, ben := f.join("asha", f.dublin), f.join("ben", f.tokyo)
	epoch := asha.Epoch()
	talking := f.talk(asha, ben)
	f.more(20, asha, ben)
	f.do("kill Redis", f.redis.Kill)
	f.do("start Redis", f.redis.Start)
	f.more(20, asha, ben)
	f.do("restart Redis in an orderly way", f.redis.Restart)
	f.more(20, asha, ben)
	talking.end()
	awaitReadyAgain(f)

	if verdict := f.settle(asha, ben); verdict.Resets+verdict.Unrecovered > 0 {
		t.Errorf("want everything kept: %s", verdict)
	}
	if after := f.join("cleo", f.dublin).Epoch(); after != epoch {
		t.Errorf("the epoch is %s, was %s", after, epoch)
	}
	for _, m := range []*member.Member{asha, ben} {
		if err := m.LastError(); err != nil {
			t.Errorf("%s lost the connection: %v", m.Name(), err)
		}
		if count, _ := m.Members(f.room); count != 3 {
			t.Errorf("%s sees %d people, want all three", m.Name(), count)
		}
	}
}

func TestRedisIsPaused(t *testing.T) {
	t.Parallel()
	// Shorter than the pause: the leases run out while nobody can renew them.
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"PRESENCE_LEASE": "3s"})
	asha, ben := f.join("asha", f.dublin), f.join("ben", f.tokyo)
	awaitPresence(f, asha, "presence 2 +ben")
	talking := f.talk(asha, ben)
	f.more(20, asha, ben)
	talking.end()
	told := len(asha.Presence(f.room))

	f.do("pause Redis", f.redis.Pause)
	began := time.Now()
	cleo := f.connect("cleo", f.dublin)
	joined := cleo.Join(f.room, member.JoinOptions{History: 10, Presence: true})
	if took := time.Since(began); len(joined.Messages) != 10 || took > 6*time.Second {
		t.Errorf("joining a live room took %v and brought %d messages", took, len(joined.Messages))
	}
	if page := cleo.History(f.room, "", 15); len(page.Messages) != 15 {
		t.Errorf("its history has %d messages", len(page.Messages))
	}
	var no *member.Refusal
	began = time.Now()
	_, err := asha.TryPublish(t.Context(), f.room, "kept", "while Redis is away")
	if took := time.Since(began); !errors.As(err, &no) || no.Code != "unavailable" || no.Retry <= 0 || took > 10*time.Second {
		t.Errorf("a publish was answered %v after %v", err, took)
	}
	began = time.Now()
	if _, err := cleo.TryJoin(t.Context(), f.room+" never live", member.JoinOptions{}); !errors.As(err, &no) || time.Since(began) > 10*time.Second {
		t.Errorf("joining a cold room was answered %v after %v", err, time.Since(began))
	}
	awaitStatus(f, f.dublin, 503)

	f.do("unpause Redis", f.redis.Unpause)
	awaitReadyAgain(f)
	if _, err := asha.Publish(t.Context(), f.room, "kept", "while Redis is away"); err != nil {
		t.Error(err)
	}
	awaitCount(f, ben, 3)
	if verdict := f.settle(asha, ben, cleo); verdict.Resets+verdict.Unrecovered > 0 {
		t.Errorf("want everything kept: %s", verdict)
	}
	for _, p := range asha.Presence(f.room)[told:] {
		if len(p.Left) > 0 {
			t.Errorf("asha was told of somebody who never left: %v", p)
		}
	}
	for _, m := range []*member.Member{asha, ben, cleo} {
		if err := m.LastError(); err != nil {
			t.Errorf("%s lost the connection: %v", m.Name(), err)
		}
	}
}

func TestRelayIsCutFromRedis(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, nil)
	asha, ben := f.join("asha", f.dublin), f.join("ben", f.tokyo)
	talking := f.talk(ben)
	f.more(20, asha, ben)

	f.do("cut dublin from Redis", f.dublin.CutFromNetwork)
	awaitStatus(f, f.dublin, 503)
	if status := f.dublin.Status("/healthz"); status != 200 {
		t.Errorf("/healthz answers %d: a relay without Redis is alive", status)
	}
	f.more(20, ben)
	f.do("give dublin its Redis back", f.dublin.Reconnect)
	awaitReadyAgain(f)
	f.more(20, asha, ben)
	talking.end()
	if verdict := f.settle(asha, ben); verdict.Resets+verdict.Unrecovered > 0 {
		t.Errorf("want everything kept: %s", verdict)
	}
	if err := asha.LastError(); err != nil {
		t.Errorf("asha lost the connection: %v", err)
	}
}

func TestRedisIsAwayAtStart(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	network := cluster.NewNetwork(t)
	redis := cluster.StartRedis(t, network, cluster.RedisOptions{})
	redis.Stop()
	relay := cluster.StartRelay(t, network, cluster.RelayOptions{Name: "dublin", Redis: redis, Unready: true})
	if status := relay.Status("/readyz"); status != 503 {
		t.Errorf("/readyz answers %d without Redis", status)
	}
	cluster.Eventually(t, patience, "the relay says so", func() error {
		if logs := relay.Logs(); !strings.Contains(logs, "level=WARN") || !strings.Contains(logs, "Redis") {
			return fmt.Errorf("it says %s", logs)
		}
		return nil
	})
	redis.Start()
	relay.AwaitReady()
}

// Services cut connections as a matter of course: that is no incident.
func TestRedisCutsConnections(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, nil)
	asha, ben := f.join("asha", f.dublin), f.join("ben", f.tokyo)
	talking := f.talk(asha, ben)
	for _, kind := range []string{"normal", "pubsub", "normal", "pubsub"} {
		f.more(30, asha, ben)
		f.do("CLIENT KILL TYPE "+kind, func() { f.redis.CLI("CLIENT", "KILL", "TYPE", kind) })
	}
	f.more(30, asha, ben)
	talking.end()
	if verdict := f.settle(asha, ben); verdict.Resets+verdict.Unrecovered > 0 {
		t.Errorf("want nothing lost: %s", verdict)
	}
	for _, relay := range []*cluster.Relay{f.dublin, f.tokyo} {
		trouble := slices.DeleteFunc(strings.Split(relay.Logs(), "\n"), func(line string) bool {
			return !strings.Contains(line, "level=ERROR") && !strings.Contains(line, "level=WARN")
		})
		if len(trouble) > 0 {
			t.Errorf("%s says %q", relay.Name(), trouble)
		}
	}
}

// awaitStatus waits until a relay's readiness is as it should be, which takes
// seconds and no more.
func awaitStatus(f *fleet, relay *cluster.Relay, want int) {
	f.t.Helper()
	cluster.Eventually(f.t, 12*time.Second, fmt.Sprintf("%s answers %d to /readyz", relay.Name(), want), func() error {
		if status := relay.Status("/readyz"); status != want {
			return fmt.Errorf("it answers %d", status)
		}
		return nil
	})
}

// awaitReadyAgain waits until both relays have mended what was broken.
func awaitReadyAgain(f *fleet) {
	f.t.Helper()
	awaitStatus(f, f.dublin, 200)
	awaitStatus(f, f.tokyo, 200)
}
