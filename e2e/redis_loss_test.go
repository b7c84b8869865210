package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
)

func TestRedisRestartsEmpty(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, nil)
	asha, ben, cleo := f.join("asha", f.dublin), f.join("ben", f.tokyo), f.join("cleo", f.tokyo)
	epoch := asha.Epoch()
	for n := range 10 {
		asha.Say(f.room, n)
	}
	quiet := f.connect("dan", f.dublin)
	quiet.Join(f.room, client.JoinOptions{History: kept})
	cleo.AwaitMessage(f.room, "asha-10")
	since := cleo.Offset(f.room)
	cleo.Quit()

	talking := f.talk(asha, ben)
	f.more(20, asha, ben)
	f.do("wipe Redis", f.redis.Wipe)
	for _, m := range []*client.Client{asha, ben, quiet} {
		cluster.Eventually(t, patience, m.Name()+" is told", func() error {
			if len(m.Resets(f.room)) != 1 {
				return fmt.Errorf("%d resets", len(m.Resets(f.room)))
			}
			return nil
		})
	}
	f.more(20, asha, ben, quiet)
	talking.end()

	// Cleo comes back with an offset of the history that is gone.
	cleo = f.connect("cleo", f.tokyo)
	if joined := cleo.Join(f.room, client.JoinOptions{Since: since, History: 5}); joined.Recovered || len(joined.Messages) != 5 {
		t.Errorf("cleo came back to %+v", joined)
	}
	if cleo.Epoch() == epoch {
		t.Errorf("the epoch is still %s", epoch)
	}
	if verdict := f.conclude(asha, ben, quiet, cleo); verdict.Resets != 3 {
		t.Errorf("want all three told once: %s", verdict)
	}
	awaitCount(f, cleo, 4)
}

// A service that has lost a node comes back from a backup, and the room grows to the same numbers
// with other messages, while no relay runs that could know what was there: the epoch stays, and
// only what an offset says of its message tells the histories apart.
func TestEverythingComesBackFromBackup(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{AppendOnly: true}, nil)
	asha, ben, cleo := f.join("asha", f.dublin), f.join("ben", f.tokyo), f.join("cleo", f.tokyo)
	for n := range 5 {
		asha.Say(f.room, n)
	}
	f.do("back Redis up", f.redis.Backup)
	for n := range 5 {
		id := asha.Say(f.room, fmt.Sprintf("lost %d", n)).ID
		ben.AwaitMessage(f.room, id)
		cleo.AwaitMessage(f.room, id)
	}
	since := cleo.Offset(f.room)
	cleo.Quit()

	f.do("kill both relays, restore Redis", func() { f.dublin.Kill(); f.tokyo.Kill(); f.redis.Restore() })
	f.history.Add(judge.Event{Kind: judge.RolledBack})
	f.do("start both relays", func() { f.dublin.Start(); f.tokyo.Start() })
	ben.AwaitRelay("tokyo")
	for n := range 10 {
		ben.Say(f.room, n)
	}
	asha.AwaitRelay("dublin")
	cleo = f.connect("cleo", f.dublin)
	if joined := cleo.Join(f.room, client.JoinOptions{Since: since, History: 3}); joined.Recovered || len(joined.Messages) != 3 {
		t.Errorf("cleo came back to %+v", joined)
	}
	if verdict := f.conclude(asha, ben, cleo); verdict.Unrecovered != 3 {
		t.Errorf("want all three told: %s", verdict)
	}
}
