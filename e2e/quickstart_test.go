package e2e_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"setu/relay"
)

// compose is what docs/compose.yaml has of what Compose knows.
type compose struct {
	Services map[string]struct {
		Image   string
		Command []string
		Build   struct {
			Context string
			Args    map[string]string
		}
		Environment map[string]string
		Ports       []string
		Volumes     []string
		StopAfter   string `yaml:"stop_grace_period"`
	}
}

// The quick start's relays take their settings, share one Redis, and are let into it. (What the
// image is and whether relays bridge is told elsewhere; CI starts the whole where Compose is.)
func TestComposeFile(t *testing.T) {
	t.Parallel()
	var file compose
	if err := yaml.Unmarshal([]byte(readFile(t, "../docs/compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	redis, conf := file.Services["redis"], readFile(t, "../docs/redis.conf")
	if redis.Image != "redis:7" || !slices.Equal(redis.Command, []string{"redis-server", "/etc/setu/redis.conf"}) ||
		!slices.Contains(redis.Volumes, "./redis.conf:/etc/setu/redis.conf:ro") {
		t.Errorf("Redis is not what the tests take, with docs/redis.conf: %+v", redis)
	}
	goImage := regexp.MustCompile(`(?m)^ARG GO_IMAGE=(.*)$`).FindStringSubmatch(readFile(t, "../Dockerfile"))[1]
	ports := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		service, environ := file.Services[name], []string{}
		for setting, value := range service.Environment {
			environ = append(environ, setting+"="+value)
			if !slices.ContainsFunc(relay.Settings(), func(s relay.Setting) bool { return s.Name == setting }) {
				t.Errorf("%s: %s is no setting", name, setting)
			}
		}
		config, err := relay.LoadConfig(environ)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		at, err := url.Parse(config.RedisURL)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := at.User.Password()
		if at.Host != "redis:6379" || !strings.Contains(conf, fmt.Sprintf("\nuser %s on >%s ", at.User.Username(), password)) {
			t.Errorf("%s: nobody there lets %s in", name, at)
		}
		if after, err := time.ParseDuration(service.StopAfter); err != nil || after < config.DrainTimeout+5*time.Second {
			t.Errorf("%s: stopped after %s, with a drain of %v", name, service.StopAfter, config.DrainTimeout)
		}
		if service.Build.Context != ".." || service.Build.Args["GO_IMAGE"] != "${GO_IMAGE:-"+goImage+"}" {
			t.Errorf("%s: built from %+v, want the Dockerfile's own %s", name, service.Build, goImage)
		}
		for _, port := range service.Ports {
			ports[port] = true
		}
	}
	if !ports["127.0.0.1:8081:8080"] || !ports["127.0.0.1:8082:8080"] || len(ports) != 2 {
		t.Errorf("the relays are not on this machine's 8081 and 8082: %v", ports)
	}
}

// The workflow runs what the README tells people to run.
func TestWorkflowRunsTheReadme(t *testing.T) {
	t.Parallel()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Run string }
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "../.github/workflows/ci.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	var script string
	for _, step := range workflow.Jobs["test"].Steps {
		script += step.Run + "\n"
	}
	readme := readFile(t, "../README.md")
	for _, command := range []string{"go generate ./...", "go generate ./... && go test -timeout 30m ./..."} {
		if !strings.Contains(script, command) || !strings.Contains(readme, "    "+command) {
			t.Errorf("%q is not both in the README and in the workflow", command)
		}
	}
}
