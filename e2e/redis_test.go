package e2e_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/relay/wiretest"
)

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
	stalls, began := wiretest.WatchStalls(t), time.Now()
	cleo := f.connect("cleo", f.dublin)
	joined := cleo.Join(f.room, client.JoinOptions{History: 10, Presence: true})
	if took := stalls.Since(began); len(joined.Messages) != 10 || took > 8*time.Second {
		t.Errorf("joining a live room took %v and brought %d messages", took, len(joined.Messages))
	}
	if page := cleo.History(f.room, "", 15); len(page.Messages) != 15 {
		t.Errorf("its history has %d messages", len(page.Messages))
	}
	var no *client.Refusal
	began = time.Now()
	_, err := asha.TryPublish(t.Context(), f.room, "kept", "while Redis is away")
	if took := stalls.Since(began); !errors.As(err, &no) || no.Code != "unavailable" || no.Retry <= 0 || took > 12*time.Second {
		t.Errorf("a publish was answered %v after %v", err, took)
	}
	began = time.Now()
	if _, err := cleo.TryJoin(t.Context(), f.room+" never live", client.JoinOptions{}); !errors.As(err, &no) || stalls.Since(began) > 12*time.Second {
		t.Errorf("joining a cold room was answered %v after %v", err, time.Since(began))
	}
	awaitStatus(f, f.dublin, 503)
	if status := f.dublin.Status("/healthz"); status != 200 {
		t.Errorf("/healthz answers %d: a relay without Redis is alive", status)
	}
	// One that starts meanwhile serves, is not ready, and is when Redis answers.
	late := cluster.StartRelay(t, f.network, cluster.RelayOptions{Name: "sydney", Redis: f.redis, Unready: true})
	if status := late.Status("/readyz"); status != 503 {
		t.Errorf("/readyz answers %d without Redis", status)
	}

	f.do("unpause Redis", f.redis.Unpause)
	late.AwaitReady()
	awaitReadyAgain(f)
	if _, err := asha.Publish(t.Context(), f.room, "kept", "while Redis is away"); err != nil {
		t.Error(err)
	}
	awaitCount(f, ben, 3)
	if verdict := f.conclude(asha, ben, cleo); verdict.Resets+verdict.Unrecovered > 0 {
		t.Errorf("want everything kept: %s", verdict)
	}
	for _, p := range asha.Presence(f.room)[told:] {
		if len(p.Left) > 0 {
			t.Errorf("asha was told of somebody who never left: %v", p)
		}
	}
	for _, m := range []*client.Client{asha, ben, cleo} {
		if err := m.LastError(); err != nil {
			t.Errorf("%s lost the connection: %v", m.Name(), err)
		}
	}
}

// awaitStatus waits until a relay's readiness is as it should be.
func awaitStatus(f *fleet, relay *cluster.Relay, want int) {
	f.t.Helper()
	cluster.Eventually(f.t, patience, fmt.Sprintf("%s answers %d to /readyz", relay.Name(), want), func() error {
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
