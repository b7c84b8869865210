package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"setu/e2e/cluster"
)

// restrictedRedis runs with docs/redis.conf, which lets relays do what it names and nothing else.
// The default user, which it turns off, stays for the test.
func restrictedRedis(t *testing.T) cluster.RedisOptions {
	t.Helper()
	config := readFile(t, "../docs/redis.conf")
	open := strings.Replace(config, "\nuser default off\n", "\n", 1)
	if open == config {
		t.Error("docs/redis.conf leaves the default user on")
	}
	return cluster.RedisOptions{Config: open, User: "setu", Password: "change-me"}
}

// nothingWasDenied looks into what Redis has noted of refused commands, keys and channels.
func nothingWasDenied(t *testing.T, redis *cluster.Redis) {
	t.Helper()
	if denied := redis.CLI("ACL", "LOG"); denied != "" {
		t.Errorf("relays wanted more than docs/redis.conf lets them:\n%s", denied)
	}
}

// What the client library sends by itself.
var libraryCommands = []string{"hello", "auth", "ping", "client|tracking", "client|caching", "multi", "exec", "pttl"}

// The rights in docs/redis.conf are those that the broker's scripts and its own calls use.
func TestRedisRightsAreThoseUsed(t *testing.T) {
	t.Parallel()
	rights := regexp.MustCompile(`(?m)^user setu .*$`).FindString(readFile(t, "../docs/redis.conf"))
	var given []string
	for _, right := range strings.Fields(rights) {
		if name, ok := strings.CutPrefix(right, "+"); ok {
			given = append(given, name)
		}
	}
	used := slices.Clone(libraryCommands)
	err := filepath.WalkDir("../relay/broker", func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = addCommands(path, &used)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(given)
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(given, used) {
		t.Errorf("given %v\nused  %v", given, used)
	}
}

var (
	builtCommand    = regexp.MustCompile(`\.B\(\)\.([A-Z]\w+)\(`)
	scriptedCommand = regexp.MustCompile(`\bp?call\('([A-Z]+)'`)
)

// addCommands adds what a source of the broker asks of Redis.
func addCommands(path string, used *[]string) error {
	pattern := scriptedCommand
	switch {
	case strings.HasSuffix(path, "_test.go"):
		return nil
	case strings.HasSuffix(path, ".go"):
		pattern = builtCommand
	case !strings.HasSuffix(path, ".lua"):
		return nil
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, found := range pattern.FindAllSubmatch(source, -1) {
		name := strings.ToLower(string(found[1]))
		switch name {
		case "scriptload":
			name = "script|load"
		case "xgroup":
			name = "xgroup|create"
		case "evalsharo":
			name = "evalsha_ro"
		}
		*used = append(*used, name)
	}
	return nil
}
