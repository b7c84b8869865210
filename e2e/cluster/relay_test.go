package cluster_test

import (
	"testing"
	"time"

	"setu/e2e/cluster"
)

func TestRelayOutlivesFaults(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	network := cluster.NewNetwork(t)
	redis := cluster.StartRedis(t, network, cluster.RedisOptions{})
	relay := cluster.StartRelay(t, network, cluster.RelayOptions{Name: "dublin", Region: "dub", Redis: redis})
	address := relay.URL()

	relay.Kill()
	if status := relay.Status("/healthz"); status != 0 {
		t.Errorf("a killed relay answers %d", status)
	}
	relay.Start()

	relay.CutFromNetwork()
	if status := relay.Status("/healthz"); status != 200 {
		t.Errorf("cut from its network, the relay answers the host %d, want 200", status)
	}
	relay.Reconnect()
	relay.AwaitReady()

	relay.Pause()
	relay.Unpause()
	relay.AwaitReady()

	if code := relay.Term(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	relay.Start()
	if relay.URL() != address {
		t.Errorf("now at %s, was at %s", relay.URL(), address)
	}
	if relay.Logs() == "" {
		t.Error("no logs")
	}
}

func TestPausedRelayIsCleanedUp(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	started := time.Now()
	t.Run("paused", func(t *testing.T) {
		cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{}).Pause()
	})
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}
