package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Dockerfile builds with any build image, and makes an image that drains and is not root.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	source := readFile(t, "../Dockerfile")
	if regexp.MustCompile(`(?im)^#\s*syntax\s*=`).MatchString(source) {
		t.Error("a syntax line: the frontend would have to be pulled from a registry")
	}
	before, build, image := stages(t, source)
	if got := last(build, "FROM"); got != "${GO_IMAGE} AS build" {
		t.Errorf("the build is from %q", got)
	}
	for _, want := range []string{"GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"} {
		if !strings.Contains(last(build, "ENV"), want) {
			t.Errorf("the build's ENV lacks %s", want)
		}
	}
	if run := last(build, "RUN"); !strings.Contains(run, "go generate ./... && go build") {
		t.Errorf("the page's program is not generated before it is embedded: %s", run)
	}
	for name, want := range map[string]string{"FROM": "scratch", "COPY": "--from=build /setu /setu", "EXPOSE": "8080"} {
		if got := last(image, name); got != want {
			t.Errorf("the image's %s is %q, want %q", name, got, want)
		}
	}
	if user := last(image, "USER"); !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(user) {
		t.Errorf("USER %q is root, or a name that scratch can't look up", user)
	}
	if entry := last(image, "ENTRYPOINT"); !isExecForm(entry, "/setu") {
		t.Errorf("ENTRYPOINT %q is not the binary in exec form, without which no signal arrives", entry)
	}
	if _, health, _ := strings.Cut(last(image, "HEALTHCHECK"), "CMD "); !isExecForm(health, "/setu", "health") {
		t.Errorf("HEALTHCHECK %q is not the binary's own in exec form", health)
	}

	// The build image's Go is the module's, since GOTOOLCHAIN=local takes no other.
	goImage := regexp.MustCompile(`^GO_IMAGE=golang:(\d+\.\d+)`).FindStringSubmatch(last(before, "ARG"))
	module := regexp.MustCompile(`(?m)^toolchain go(\d+\.\d+)`).FindStringSubmatch(readFile(t, "../go.mod"))
	if goImage == nil || module == nil || goImage[1] != module[1] {
		t.Errorf("the Dockerfile has Go %v, go.mod %v", goImage, module)
	}
}

// What the Dockerfile's shell makes of each way in which git may say what is checked out.
func TestDockerfileFindsTheRevision(t *testing.T) {
	t.Parallel()
	_, build, _ := stages(t, readFile(t, "../Dockerfile"))
	script, _, found := strings.Cut(last(build, "RUN"), " && go generate")
	if !found {
		t.Fatal("the Dockerfile's RUN looks for no revision before go generate")
	}
	script = regexp.MustCompile(`^(--mount=\S+ )+`).ReplaceAllString(script, "") + ` && echo "$revision"`
	const revision, other = "1f3a5c7e9b1f3a5c7e9b1f3a5c7e9b1f3a5c7e9b", "0000000000000000000000000000000000000000"
	packed := "# pack-refs with: peeled fully-peeled sorted \n" + other + " refs/heads/fix/main\n" + revision + " refs/heads/fix/it\n"
	for name, c := range map[string]struct {
		git  map[string]string
		want string
	}{
		"a branch":          {map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": revision + "\n"}, revision},
		"a packed branch":   {map[string]string{"HEAD": "ref: refs/heads/fix/it\n", "packed-refs": packed}, revision},
		"loose over packed": {map[string]string{"HEAD": "ref: refs/heads/fix/main\n", "packed-refs": packed, "refs/heads/fix/main": revision + "\n"}, revision},
		"a bare commit":     {map[string]string{"HEAD": revision + "\n", "packed-refs": packed}, revision},
		"no commit yet":     {map[string]string{"HEAD": "ref: refs/heads/main\n"}, ""},
		"no git":            {nil, ""},
	} {
		directory := t.TempDir()
		for path, content := range c.git {
			path = filepath.Join(directory, ".git", filepath.FromSlash(path))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		shell := exec.Command("sh", "-ec", script)
		shell.Dir = directory
		if out, err := shell.Output(); err != nil || strings.TrimSuffix(string(out), "\n") != c.want {
			t.Errorf("%s: %q, %v; want %q", name, out, err, c.want)
		}
	}
	for _, kept := range []string{"!.git/HEAD", "!.git/packed-refs", "!.git/refs/heads"} {
		if !strings.Contains(readFile(t, "../.dockerignore"), "\n"+kept+"\n") {
			t.Errorf(".dockerignore does not let %s into the build", kept[1:])
		}
	}
}

// instruction is one of a Dockerfile's, with its continued lines joined.
type instruction struct {
	name, rest string
}

func parseDockerfile(source string) (instructions []instruction) {
	comment := regexp.MustCompile(`(?m)^\s*#.*\n`)
	joined := strings.ReplaceAll(comment.ReplaceAllString(source, ""), "\\\n", " ")
	for line := range strings.Lines(joined) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" {
			instructions = append(instructions, instruction{strings.ToUpper(name), strings.Join(strings.Fields(rest), " ")})
		}
	}
	return instructions
}

// stages are what precedes the first FROM, the build, and the image.
func stages(t *testing.T, source string) (before, build, image []instruction) {
	t.Helper()
	stages := [][]instruction{nil}
	for _, i := range parseDockerfile(source) {
		if i.name == "FROM" {
			stages = append(stages, nil)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], i)
	}
	if len(stages) != 3 {
		t.Fatalf("the Dockerfile has %d stages, want a build and an image", len(stages)-1)
	}
	return stages[0], stages[1], stages[2]
}

// last returns what the last instruction of that name says; "" without one.
func last(stage []instruction, name string) (rest string) {
	for _, i := range stage {
		if i.name == name {
			rest = i.rest
		}
	}
	return rest
}

func isExecForm(rest string, want ...string) bool {
	var words []string
	return json.Unmarshal([]byte(rest), &words) == nil && fmt.Sprint(words) == fmt.Sprint(want)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
