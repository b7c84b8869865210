package cluster_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"setu/e2e/cluster"
)

func TestRedisKeepsAddressAndDataOverRestarts(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	redis := cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{AppendOnly: true})
	client := connect(t, redis)

	redis.CLI("SET", "greeting", "hello")
	for _, again := range []func(){redis.Restart, func() { redis.Kill(); redis.Start() }} {
		again()
		if got := get(t, client, "greeting"); got != "hello" {
			t.Errorf("after a restart: %q, want hello", got)
		}
	}
	redis.Wipe()
	if got := get(t, client, "greeting"); got != "" {
		t.Errorf("after Wipe: %q, want nothing", got)
	}
}

func TestRedisAsAivenRunsIt(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	for name, image := range map[string]string{"redis": cluster.RedisImage(), "valkey": cluster.ValkeyImage()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{Name: name, Image: image, Aiven: true})
			client := connect(t, redis)
			if got := get(t, client, "nothing"); got != "" {
				t.Errorf("GET nothing: %q", got)
			}
			if answer := redis.CLI("CONFIG", "GET", "*"); !strings.Contains(answer, "unknown command") {
				t.Errorf("CONFIG answers %q, want an unknown command", answer)
			}

			option, err := rueidis.ParseURL(redis.URL())
			if err != nil {
				t.Fatal(err)
			}
			option.ForceSingleClient = true // one for a cluster leaves a goroutine asleep behind what failed
			_, err = rueidis.NewClient(option)
			if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
				t.Errorf("without its CA: %v, want an unknown authority", err)
			}
		})
	}
}

func TestPausedRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	redis := cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{Image: cluster.ValkeyImage()})
	client := connect(t, redis)

	redis.Pause()
	answered := make(chan error, 1)
	go func() { answered <- client.Do(t.Context(), client.B().Ping().Build()).Error() }()
	select {
	case err := <-answered:
		t.Errorf("a paused Redis answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	redis.Unpause()
	if err := <-answered; err != nil {
		t.Errorf("after Unpause: %v", err)
	}
}

// connect is what a test of its own would do.
func connect(t *testing.T, redis *cluster.Redis) rueidis.Client {
	t.Helper()
	option, err := rueidis.ParseURL(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	option.TLSConfig = redis.TLSConfig()
	option.ForceSingleClient = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func get(t *testing.T, client rueidis.Client, key string) (value string) {
	t.Helper()
	cluster.Eventually(t, 10*time.Second, "GET "+key, func() error {
		var err error
		value, err = client.Do(t.Context(), client.B().Get().Key(key).Build()).ToString()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		return err
	})
	return value
}
