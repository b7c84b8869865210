package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/relay/wiretest"
)

// A relay that is killed says nothing to anybody: its members find out by
// themselves, and Redis by its lease.
func TestRelayIsKilled(t *testing.T) {
	t.Parallel()
	const lease = 6 * time.Second // in which who can is back, also on a busy machine
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"PRESENCE_LEASE": lease.String()})
	asha, ben := f.join("asha", f.dublin, f.tokyo), f.join("ben", f.tokyo)
	cleo := f.join("cleo", f.dublin) // who has nowhere else to go
	awaitPresence(f, ben, "presence 3 +cleo")
	talking := f.talk(asha, ben)
	f.more(30, asha, ben, cleo)

	stalls := wiretest.WatchStalls(t)
	f.do("kill dublin", f.dublin.Kill)
	killed := time.Now()
	awaitPresence(f, ben, "presence 2 -cleo")
	if took := stalls.Since(killed); took > 2*lease {
		t.Errorf("cleo left after %v, with a lease of %v", took, lease)
	}
	asha.AwaitRelay("tokyo")
	f.more(30, asha, ben)
	if rejoins := asha.Rejoins(f.room); len(rejoins) != 1 || !rejoins[0].Recovered {
		t.Errorf("asha came back to %+v", rejoins)
	}
	if count, members := ben.Members(f.room); count != 2 || names(members) != "asha ben" {
		t.Errorf("ben sees %d: %s", count, names(members))
	}
	for _, p := range ben.Presence(f.room) {
		if slices.ContainsFunc(p.Left, func(u client.User) bool { return u.Name == "asha" }) {
			t.Errorf("ben was told that asha left, who was back at once: %v", p)
		}
	}

	// It comes back under its name, and what it was before is over.
	f.do("start dublin", f.dublin.Start)
	cleo.AwaitRelay("dublin")
	awaitPresence(f, asha, "presence 3 +cleo")
	f.more(30, asha, ben, cleo)
	talking.end()
	if verdict := f.conclude(asha, ben, cleo); verdict.Resets+verdict.Unrecovered > 0 || verdict.Recovered != 2 {
		t.Errorf("want both recovered: %s", verdict)
	}
}

func TestRelayIsDrained(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, nil)
	var movers []*client.Client
	for n := range 8 {
		movers = append(movers, f.join(fmt.Sprintf("mover-%d", n), f.dublin, f.tokyo))
	}
	ben := f.join("ben", f.tokyo)
	everyone := append([]*client.Client{ben}, movers...)
	awaitCount(f, ben, len(everyone))
	told := len(ben.Presence(f.room))
	talking := f.talk(movers[0], movers[1], ben)
	f.more(30, everyone...)

	code := 0
	f.do("drain dublin", func() { code = f.dublin.Term() })
	if code != 0 {
		t.Errorf("exit code %d after a drain", code)
	}
	for _, m := range movers {
		m.AwaitRelay("tokyo")
		if rejoins := m.Rejoins(f.room); len(rejoins) != 1 || !rejoins[0].Recovered {
			t.Errorf("%s came back to %+v", m.Name(), rejoins)
		}
	}
	f.more(30, everyone...)
	talking.end()
	if verdict := f.conclude(everyone...); verdict.Resets+verdict.Unrecovered > 0 || verdict.Recovered != len(movers) {
		t.Errorf("want all recovered: %s", verdict)
	}
	if flicker := ben.Presence(f.room)[told:]; len(flicker) > 0 {
		t.Errorf("ben was told of people who never left: %v", flicker)
	}
	awaitCount(f, ben, len(everyone))
}

func TestDrainingRelay(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"DRAIN_TIMEOUT": "30s"})
	asha := f.connect("asha", f.dublin)
	// A client that stays: it does not even read that it should go.
	asha.StopReading()
	f.dublin.Signal("SIGTERM")
	cluster.Eventually(t, patience, "it is not ready while it drains", func() error {
		if status := f.dublin.Status("/readyz"); status != 503 {
			return fmt.Errorf("/readyz answers %d", status)
		}
		return nil
	})
	if status := f.dublin.Status("/healthz"); status != 200 {
		t.Errorf("while draining /healthz answers %d", status)
	}
	f.dublin.Signal("SIGTERM") // a platform's second one, which aborts nothing
	if status := f.dublin.Status("/healthz"); status != 200 {
		t.Errorf("after a second SIGTERM /healthz answers %d", status)
	}
	stalls, began := wiretest.WatchStalls(t), time.Now()
	f.dublin.Signal("SIGINT")
	if code := f.dublin.AwaitExit(); code == 0 {
		t.Error("SIGINT ended the drain with exit code 0")
	}
	if took := stalls.Since(began); took > 10*time.Second {
		t.Errorf("SIGINT ended the drain after %v", took)
	}
}

// awaitCount waits until a client sees so many people.
func awaitCount(f *fleet, m *client.Client, want int) {
	f.t.Helper()
	cluster.Eventually(f.t, patience, fmt.Sprintf("%s sees %d people", m.Name(), want), func() error {
		if count, _ := m.Members(f.room); count != want {
			return fmt.Errorf("sees %d", count)
		}
		return nil
	})
}
