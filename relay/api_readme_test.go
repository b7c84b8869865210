package relay

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"setu/relay/wiretest"
)

var example = regexp.MustCompile("(?s)<!-- api:(\\w+) -->\n```\\w+\n(.*?)```")

// What the README shows of the server API does what it says, in the languages that are at hand.
func TestReadmeAPIExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("runs compilers and interpreters")
	}
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range example.FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = m[2]
	}
	for name, c := range map[string]struct {
		file string
		run  []string
		wrap string
		want string
	}{
		"curl":   {"example.sh", []string{"sh"}, "%s", `{"room":"lobby","id":"order-17","offset":"`},
		"node":   {"example.mjs", []string{"node"}, "%s", " 1\n"},
		"python": {"example.py", []string{"python3"}, "%s", " 1\n"},
		"go": {"main.go", []string{"go", "run"}, "package main\n\nimport (\n\"io\"\n\"log\"\n\"net/http\"\n\"os\"\n\"strings\"\n)\n\nfunc main() {\n%s}\n",
			`{"results":[{"room":"lobby","id":"1","offset":"`},
	} {
		t.Run(name, func(t *testing.T) {
			code, ok := found[name]
			if !ok {
				t.Fatal("the README has no example")
			}
			if n := strings.Count(code, "\n"); n > 15 {
				t.Errorf("it has %d lines", n)
			}
			tool := c.run[0]
			if name == "curl" {
				tool = "curl"
			}
			if _, err := exec.LookPath(tool); err != nil {
				if os.Getenv("CI") == "true" && tool == "python3" { // which CI installs
					t.Fatal(err)
				}
				t.Skip(tool + " is not at hand")
			}
			l, dial := wiretest.ListenTCP(t)
			r := newRig(t, l, dial, nil, apiKeys)
			t.Cleanup(r.close)
			file := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(file, fmt.Appendf(nil, c.wrap, code), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, c.run[0], append(c.run[1:], file)...)
			cmd.Env = append(os.Environ(), "SETU=http://"+l.Addr().String(), "SETU_KEY="+everyKey)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// A setting that is no list of keys stops the start, and is not shown.
func TestBadAPIKeys(t *testing.T) {
	const hidden = "not-a-long-secret"
	_, err := LoadConfig([]string{"API_KEYS=app:" + hidden + ":read"})
	if err == nil || !strings.Contains(err.Error(), "API_KEYS is ") || strings.Contains(err.Error(), hidden) || !strings.Contains(err.Error(), "has 17 bytes") {
		t.Error(err)
	}
	if _, err := LoadConfig([]string{"API_RATE=5/s"}); err == nil || !strings.Contains(err.Error(), "means nothing without API_KEYS") {
		t.Error(err)
	}
}
