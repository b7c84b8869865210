// Package cluster runs relays and Redis in containers for tests, and breaks
// them on request, so that a test reads as a story:
//
//	cluster.Require(t)
//	net := cluster.NewNetwork(t)
//	redis := cluster.StartRedis(t, net, cluster.RedisOptions{AppendOnly: true})
//	dublin := cluster.StartRelay(t, net, cluster.RelayOptions{Name: "dublin", Redis: redis})
//	tokyo := cluster.StartRelay(t, net, cluster.RelayOptions{Name: "tokyo", Redis: redis})
//	dublin.Kill()
//
// Everything that is started is removed when the test ends. What fails here
// fails the test that started it; the logs of a failed test's containers are
// shown with it, each line behind its container's name.
package cluster

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// startTimeout bounds everything that Docker is asked for, and how long a
// container may take until it serves. Generous, since machines that run tests
// are shared.
const startTimeout = 3 * time.Minute

// Require skips a test that needs containers where they are not wanted
// (-short) or there is no Docker. With CI=true a missing Docker fails instead:
// nobody would notice the skip.
func Require(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs containers: skipped under -short")
	}
	if err := dockerAnswers(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs Docker: %v", err)
		}
		t.Skipf("needs Docker: %v", err)
	}
}

var dockerAnswers = sync.OnceValue(func() error {
	configure()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	_, err = docker.Ping(ctx, client.PingOptions{})
	return err
})

// configure fills in what testcontainers does not find out by itself. It reads
// these variables once, so this comes before its first use.
func configure() {
	// Its commentary on every container drowns a failure.
	log.SetDefault(log.NewNoopLogger())
	// The reaper is an image more to pull, and every test here cleans up.
	setDefault("TESTCONTAINERS_RYUK_DISABLED", "true")
	// A machine made from an image looks like a container to testcontainers,
	// which would then look for published ports on the gateway.
	if _, err := os.Stat("/.dockerenv"); err == nil {
		setDefault("TESTCONTAINERS_HOST_OVERRIDE", loopback)
	}
}

func setDefault(name, value string) {
	if os.Getenv(name) == "" {
		os.Setenv(name, value)
	}
}

// imageFrom is the image that an environment variable names, or fallback.
func imageFrom(variable, fallback string) string {
	if image := os.Getenv(variable); image != "" {
		return image
	}
	return fallback
}

// Eventually polls until condition returns nil, and fails the test with the
// last error when that takes longer than within.
func Eventually(t testing.TB, within time.Duration, what string, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, func(context.Context) error { return condition() }); err != nil {
		t.Fatalf("%s: not within %v: %v", what, within, err)
	}
}

// poll returns nil as soon as condition does, or its last error when ctx ends.
func poll(ctx context.Context, condition func(context.Context) error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	last := fmt.Errorf("not tried")
	for {
		// An attempt that ctx cut short says less than the one before it.
		if err := condition(ctx); err == nil || ctx.Err() == nil {
			last = err
		}
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}
