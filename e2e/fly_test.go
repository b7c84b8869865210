package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"setu/relay"
)

// flyConfig is what fly.toml has of what flyctl knows.
type flyConfig struct {
	App           string
	PrimaryRegion string        `toml:"primary_region"`
	KillSignal    string        `toml:"kill_signal"`
	KillTimeout   time.Duration `toml:"kill_timeout"`
	Build         struct{ Dockerfile string }
	Env           map[string]string
	Deploy        struct {
		Strategy       string
		MaxUnavailable int `toml:"max_unavailable"`
	}
	HTTPService struct {
		InternalPort      int    `toml:"internal_port"`
		ForceHTTPS        bool   `toml:"force_https"`
		AutoStopMachines  string `toml:"auto_stop_machines"`
		AutoStartMachines bool   `toml:"auto_start_machines"`
		Concurrency       struct {
			Type      string
			SoftLimit int `toml:"soft_limit"`
			HardLimit int `toml:"hard_limit"`
		}
		Checks []struct {
			Method, Path      string
			Interval, Timeout time.Duration
			GracePeriod       time.Duration `toml:"grace_period"`
		}
	} `toml:"http_service"`
	Metrics []struct {
		Port int
		Path string
	}
	VM []struct{ Size, Memory string }
}

// flyctl lets much pass without a word: a misspelt key, a drain that is cut off, a port on which
// nobody listens.
func TestFlyToml(t *testing.T) {
	t.Parallel()
	var fly flyConfig
	meta, err := toml.Decode(readFile(t, "../fly.toml"), &fly)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range meta.Undecoded() {
		t.Errorf("%s: unknown key", key)
	}
	environ := []string{}
	for name, value := range fly.Env {
		environ = append(environ, name+"="+value)
		if !slices.ContainsFunc(relay.Settings(), func(s relay.Setting) bool { return s.Name == name }) {
			t.Errorf("env.%s: no setting of the relay's", name)
		}
		if strings.HasPrefix(name, "REDIS_") || strings.HasPrefix(name, "FLY_") {
			t.Errorf("env.%s: belongs in fly secrets, or is Fly's own", name)
		}
	}
	config, err := relay.LoadConfig(environ)
	if err != nil {
		t.Fatalf("env: %v", err)
	}
	service, checks := fly.HTTPService, fly.HTTPService.Checks
	for what, holds := range map[string]bool{
		"the signal is one on which a relay drains":        fly.KillSignal == "SIGTERM",
		"a drain fits, with time for what comes after it":  config.DrainTimeout+5*time.Second <= fly.KillTimeout,
		"Fly takes the time":                               fly.KillTimeout <= 300*time.Second,
		"one relay after the other":                        fly.Deploy.Strategy == "rolling" && fly.Deploy.MaxUnavailable == 1,
		"the port is the relay's":                          service.InternalPort == config.Port,
		"only HTTPS":                                       service.ForceHTTPS,
		"no machine stops while it has sockets":            service.AutoStopMachines == "off",
		"what is counted is sockets":                       service.Concurrency.Type == "connections",
		"both limits are set, within what the relay takes": 0 < service.Concurrency.SoftLimit && service.Concurrency.SoftLimit <= service.Concurrency.HardLimit && service.Concurrency.HardLimit <= config.MaxConnections,
		"the check asks for readiness, in time":            len(checks) == 1 && checks[0].Method == "GET" && checks[0].Path == "/readyz" && checks[0].Timeout >= time.Second && checks[0].Interval > checks[0].Timeout,
		"the metrics are where they are read":              len(fly.Metrics) == 1 && fly.Metrics[0].Port == config.MetricsPort && fly.Metrics[0].Path == "/metrics",
		"the image is ours":                                fly.Build.Dockerfile == "Dockerfile",
		"one kind of machine":                              len(fly.VM) == 1,
	} {
		if !holds {
			t.Errorf("fly.toml: it does not hold that %s: %+v", what, fly)
		}
	}
}
