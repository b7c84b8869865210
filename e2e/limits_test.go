package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/relay/wiretest"
)

func TestMemberStopsReading(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	// A relay on its own will do, with an outbox that is soon full.
	relay := cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Env: map[string]string{
		"OUTBOX_BYTES": "262144", "HISTORY_LIMIT": "1000",
	}})
	f := &fleet{t: t, room: "lobby", history: judge.Record(t, judge.Rules{Kept: 1000})}
	asha, ben, slow := f.join("asha", relay), f.join("ben", relay), f.join("slow", relay)
	slow.StopReading()

	// What is in the kernel's buffers and the proxy's on the way comes on top.
	data := strings.Repeat("x", 500_000)
	longest, stalls := time.Duration(0), wiretest.WatchStalls(t)
	cluster.Eventually(t, patience, "the relay closes who does not read", func() error {
		began := time.Now()
		ben.AwaitMessage(f.room, asha.Say(f.room, data).ID)
		longest = max(longest, stalls.Since(began))
		if count, _ := asha.Members(f.room); count > 2 {
			return fmt.Errorf("%d people are there", count)
		}
		return nil
	})
	t.Logf("the longest way of a message was %v", longest)
	if longest > 10*time.Second {
		t.Errorf("a message took %v while somebody did not read", longest)
	}
	slow.ResumeReading()
	slow.AwaitClose(patience)
	f.conclude(asha, ben, slow)
}
