package e2e_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFlyToml(t *testing.T) {
	t.Parallel()
	for _, complaint := range checkFly(readFile(t, "../fly.toml")) {
		t.Error(complaint)
	}
}

// The checker finds what is planted, and blames what it was planted in.
func TestFlyTomlFaults(t *testing.T) {
	t.Parallel()
	source := readFile(t, "../fly.toml")
	for _, fault := range []struct{ from, to, blamed string }{
		{`app = "setu-relay"`, ``, "app"},
		{`primary_region = "lhr"`, `primary_region = "London"`, "primary_region"},
		{`dockerfile = "Dockerfile"`, `dockerfile = "Containerfile"`, "build.dockerfile"},
		{`kill_signal = "SIGTERM"`, `kill_signal = "SIGTREM"`, "kill_signal"},
		{`kill_signal = "SIGTERM"`, `kil_signal = "SIGTERM"`, "kil_signal: unknown key"},
		{`kill_timeout = "30s"`, `kill_timeout = "301s"`, "kill_timeout"},
		{`kill_timeout = "30s"`, `kill_timeout = 301`, "kill_timeout"},
		{`kill_timeout = "30s"`, `kill_timeout = 24`, "kill_timeout"},
		{`kill_timeout = "30s"`, ``, "kill_timeout"},
		{`DRAIN_TIMEOUT = "20s"`, ``, "env.DRAIN_TIMEOUT"},
		{`PORT = "8080"`, `PORT = 8080`, "env.PORT"},
		{`PORT = "8080"`, `PORT = "8081"`, "http_service.internal_port"},
		{`PORT = "8080"`, "PORT = \"8080\"\nFLY_REGION = \"lhr\"", "env.FLY_REGION"},
		{`PORT = "8080"`, "PORT = \"8080\"\nREDIS_URL = \"redis://a\"", "env.REDIS_URL"},
		{`PORT = "8080"`, "PORT = \"8080\"\nMAX_CONNECTIONS = \"9000\"", "http_service.concurrency"},
		{`strategy = "rolling"`, `strategy = "bluegreen"`, "deploy.strategy"},
		{`max_unavailable = 1`, `max_unavailable = 0.33`, "deploy.max_unavailable"},
		{`force_https = true`, `force_https = false`, "http_service.force_https"},
		{`auto_stop_machines = "off"`, `auto_stop_machines = "stop"`, "http_service.auto_stop_machines"},
		{`type = "connections"`, `type = "sockets"`, "http_service.concurrency.type"},
		{`soft_limit = 8000`, ``, "http_service.concurrency"},
		{`hard_limit = 10000`, `hard_limit = 1000`, "http_service.concurrency"},
		{`[[http_service.checks]]`, `[http_service.checks]`, "http_service.checks"},
		{`path = "/readyz"`, `path = "/healthz"`, "http_service.checks"},
		{`interval = "10s"`, `interval = "10"`, "http_service.checks.interval"},
		{`size = "shared-cpu-1x"`, `size = "shared-cpu-3x"`, "vm.size"},
		{`memory = "512mb"`, `memory = "128mb"`, "vm.memory"},
	} {
		expectBlamed(t, checkFly, source, fault.from, fault.to, fault.blamed)
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	for _, complaint := range checkDockerfile(readFile(t, "../Dockerfile")) {
		t.Error(complaint)
	}
}

// The build image's Go is the module's, since GOTOOLCHAIN=local takes no other.
func TestDockerfileAndModuleAgreeOnGo(t *testing.T) {
	t.Parallel()
	image := regexp.MustCompile(`(?m)^ARG GO_IMAGE=golang:(\d+\.\d+)`).FindStringSubmatch(readFile(t, "../Dockerfile"))
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "../go.mod"))
	if image == nil || module == nil || image[1] != module[1] {
		t.Errorf("Dockerfile has Go %v, go.mod %v", image, module)
	}
}

// The checker finds what is planted, and blames what it was planted in.
func TestDockerfileFaults(t *testing.T) {
	t.Parallel()
	source := readFile(t, "../Dockerfile")
	for _, fault := range []struct{ from, to, blamed string }{
		{"# The relay", "# syntax=docker/dockerfile:1\n# The relay", "syntax"},
		{"ARG GO_IMAGE=golang:1.26", "ARG GO_IMAGE", "ARG"},
		{"FROM ${GO_IMAGE} AS build", "FROM golang:1.26 AS build", "FROM"},
		{"GOTOOLCHAIN=local", "", "ENV"},
		{"CGO_ENABLED=0", "", "ENV"},
		{"go generate ./... &&", "", "RUN"},
		{"FROM scratch", "FROM debian:stable", "FROM"},
		{"FROM scratch", "", "FROM"},
		{"COPY --from=build /setu /setu", "COPY --from=build /src /", "COPY"},
		{"USER 65532:65532", "", "USER"},
		{"USER 65532:65532", "USER 0", "USER"},
		{"USER 65532:65532", "USER nonroot", "USER"},
		{`ENTRYPOINT ["/setu"]`, `ENTRYPOINT /setu`, "ENTRYPOINT"},
		{`CMD ["/setu", "health"]`, `CMD /setu health`, "HEALTHCHECK"},
		{"EXPOSE 8080", "", "EXPOSE"},
	} {
		expectBlamed(t, checkDockerfile, source, fault.from, fault.to, fault.blamed)
	}
}

// complaints collects what does not hold.
type complaints []string

func (c *complaints) unless(holds bool, format string, args ...any) {
	if !holds {
		*c = append(*c, fmt.Sprintf(format, args...))
	}
}

// expectBlamed plants one fault in a sound source and expects one complaint, of
// what is to blame.
func expectBlamed(t *testing.T, check func(string) []string, source, from, to, blamed string) {
	t.Helper()
	planted := strings.Replace(source, from, to, 1)
	if planted == source {
		t.Errorf("%q is not there to be replaced", from)
		return
	}
	found := check(planted)
	if !slices.ContainsFunc(found, func(complaint string) bool { return strings.Contains(complaint, blamed) }) {
		t.Errorf("%s instead of %s: complaints are %q, want one of %s", to, from, found, blamed)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
