package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// flyConfig is what we use of fly.toml; a key beyond it is a complaint, since
// flyctl takes a misspelt one without a word.
type flyConfig struct {
	App           string
	PrimaryRegion string `toml:"primary_region"`
	KillSignal    string `toml:"kill_signal"`
	KillTimeout   any    `toml:"kill_timeout"` // seconds, or a duration as a string
	Build         struct{ Dockerfile string }
	Env           map[string]any
	Deploy        struct {
		Strategy       string
		MaxUnavailable float64 `toml:"max_unavailable"`
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
			Method, Path, Interval, Timeout string
			GracePeriod                     string `toml:"grace_period"`
		}
	} `toml:"http_service"`
	VM []struct{ Size, Memory string }
}

// checkFly returns what is wrong with a fly.toml, above all what flyctl does not
// notice.
func checkFly(source string) []string {
	var c complaints
	var config flyConfig
	meta, err := toml.Decode(source, &config)
	if err != nil {
		return []string{err.Error()}
	}
	for _, key := range meta.Undecoded() {
		c = append(c, fmt.Sprintf("%s: unknown key", key))
	}
	for _, check := range []func(flyConfig) complaints{flyApp, flyStop, flyEnv, flyDeploy, flyService, flyChecks, flyMachine} {
		c = append(c, check(config)...)
	}
	return c
}

func flyApp(config flyConfig) (c complaints) {
	c.unless(config.App != "", "app: missing")
	c.unless(regexp.MustCompile(`^[a-z]{3}$`).MatchString(config.PrimaryRegion), "primary_region: %q is no region", config.PrimaryRegion)
	c.unless(config.Build.Dockerfile == "Dockerfile", "build.dockerfile: %q is not ours", config.Build.Dockerfile)
	return c
}

// flyStop: Fly sends kill_signal, and after kill_timeout SIGKILL.
func flyStop(config flyConfig) (c complaints) {
	c.unless(slices.Contains([]string{"SIGTERM", "SIGINT"}, config.KillSignal), "kill_signal: a relay does not drain on %q", config.KillSignal)
	timeout, err := flySeconds(config.KillTimeout)
	if err != nil {
		return append(c, fmt.Sprintf("kill_timeout: %v", err))
	}
	c.unless(timeout <= 300*time.Second, "kill_timeout: %v is over Fly's maximum of 300s", timeout)
	drain, err := time.ParseDuration(fmt.Sprint(config.Env["DRAIN_TIMEOUT"]))
	if err != nil {
		return append(c, fmt.Sprintf("env.DRAIN_TIMEOUT: must be set, as kill_timeout goes by it: %v", err))
	}
	c.unless(drain+5*time.Second <= timeout, "kill_timeout: %v leaves a drain of %v less than 5s to spare", timeout, drain)
	return c
}

func flySeconds(value any) (time.Duration, error) {
	switch value := value.(type) {
	case int64:
		return time.Duration(value) * time.Second, nil
	case string:
		return time.ParseDuration(value)
	default:
		return 0, fmt.Errorf("%v is neither seconds nor a duration", value)
	}
}

func flyEnv(config flyConfig) (c complaints) {
	secret := regexp.MustCompile(`REDIS_URL|SECRET|PASSWORD|TOKEN|KEY`)
	for name, value := range config.Env {
		_, text := value.(string)
		c.unless(text, "env.%s: %v is no string", name, value)
		c.unless(!strings.HasPrefix(name, "FLY_"), "env.%s: the prefix is Fly's own", name)
		c.unless(!secret.MatchString(name), "env.%s: belongs in fly secrets", name)
	}
	c.unless(fmt.Sprint(config.Env["PORT"]) == strconv.Itoa(config.HTTPService.InternalPort),
		"http_service.internal_port: %d is not env.PORT, %v", config.HTTPService.InternalPort, config.Env["PORT"])
	return c
}

func flyDeploy(config flyConfig) (c complaints) {
	c.unless(config.Deploy.Strategy == "rolling", "deploy.strategy: %q drops more members at once than rolling", config.Deploy.Strategy)
	c.unless(config.Deploy.MaxUnavailable == 1, "deploy.max_unavailable: %v, want 1 machine", config.Deploy.MaxUnavailable)
	return c
}

func flyService(config flyConfig) (c complaints) {
	service := config.HTTPService
	c.unless(service.ForceHTTPS, "http_service.force_https: off")
	c.unless(service.AutoStopMachines == "off", "http_service.auto_stop_machines: %q stops machines with live sockets", service.AutoStopMachines)
	limits := service.Concurrency
	c.unless(limits.Type == "connections", "http_service.concurrency.type: %q does not count sockets", limits.Type)
	c.unless(limits.SoftLimit > 0 && limits.HardLimit > 0, "http_service.concurrency: set both limits: soft %d, hard %d", limits.SoftLimit, limits.HardLimit)
	c.unless(limits.SoftLimit <= limits.HardLimit, "http_service.concurrency: soft_limit %d is over hard_limit %d", limits.SoftLimit, limits.HardLimit)
	if most, err := strconv.Atoi(fmt.Sprint(config.Env["MAX_CONNECTIONS"])); err == nil {
		c.unless(limits.HardLimit <= most, "http_service.concurrency: hard_limit %d is over MAX_CONNECTIONS %d", limits.HardLimit, most)
	}
	return c
}

func flyChecks(config flyConfig) (c complaints) {
	c.unless(len(config.HTTPService.Checks) > 0, "http_service.checks: none")
	for _, check := range config.HTTPService.Checks {
		c.unless(check.Method == "GET" && check.Path == "/readyz", "http_service.checks: %s %s is not readiness", check.Method, check.Path)
		for name, value := range map[string]string{"interval": check.Interval, "timeout": check.Timeout, "grace_period": check.GracePeriod} {
			duration, err := time.ParseDuration(value)
			c.unless(err == nil && duration > 0, "http_service.checks.%s: %q is no duration", name, value)
		}
	}
	return c
}

func flyMachine(config flyConfig) (c complaints) {
	size := regexp.MustCompile(`^(shared-cpu-(1|2|4|8)x|performance-(1|2|4|8|16)x)$`)
	memory := regexp.MustCompile(`^([0-9]+)(mb|gb)$`)
	c.unless(len(config.VM) == 1, "vm: %d of them, want one", len(config.VM))
	for _, vm := range config.VM {
		c.unless(size.MatchString(vm.Size), "vm.size: Fly has no %q", vm.Size)
		parts := memory.FindStringSubmatch(vm.Memory)
		if parts == nil {
			return append(c, fmt.Sprintf("vm.memory: %q is no size", vm.Memory))
		}
		amount, _ := strconv.Atoi(parts[1])
		c.unless(parts[2] == "gb" || amount >= 256, "vm.memory: %q is too little for a relay", vm.Memory)
	}
	return c
}
