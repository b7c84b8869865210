package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
)

// Where a Redis with a clock of its own has the library that makes it, and how far that is off.
const (
	faketimeLibrary = "/faketime/libfaketime.so.1"
	faketimeOffset  = "/faketime/offset"
)

// faketime is where this machine has libfaketime, of Debian's package of that name; "" if it has none.
var faketime = sync.OnceValue(func() string {
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	return append(found, "")[0]
})

// ClocksCanStep reports whether this machine has what RedisOptions.Clock takes.
func ClocksCanStep() bool { return faketime() != "" }

// clock gives a container a clock that StepClock can step.
func clock(t testing.TB) []testcontainers.ContainerCustomizer {
	t.Helper()
	library, err := os.ReadFile(faketime())
	if err != nil {
		t.Fatalf("libfaketime: %v", err)
	}
	return []testcontainers.ContainerCustomizer{
		testcontainers.WithFiles(
			testcontainers.ContainerFile{Reader: bytes.NewReader(library), ContainerFilePath: faketimeLibrary, FileMode: 0o755},
			file(faketimeOffset, []byte("+0\n"))),
		testcontainers.WithEnv(map[string]string{
			// The C library's malloc comes before a jemalloc that is a library, too: that one asks for the time while
			// libfaketime, of whose own doing it is called, can't tell it yet.
			"LD_PRELOAD":              faketimeLibrary + ":libc.so.6",
			"FAKETIME_TIMESTAMP_FILE": faketimeOffset,
			// Read once in a second of its own: without a cache each command of a script takes 200 µs more.
			"FAKETIME_CACHE_DURATION": "1",
			"DONT_FAKE_MONOTONIC":     "1",
			"NO_FAKE_STAT":            "1",
		}),
	}
}

// StepClock has its clock differ from this machine's by so many seconds, from now on, and waits until TIME
// says so. The clock by which it waits goes on as before.
func (r *Redis) StepClock(by time.Duration) {
	r.t.Helper()
	r.exec("sh", "-c", fmt.Sprintf("echo %+d >%[2]s.new && mv %[2]s.new %[2]s", int(by.Seconds()), faketimeOffset))
	Eventually(r.t, startTimeout, fmt.Sprintf("%s's clock is off by %v", r.name, by), func() error {
		if off := time.Until(r.Time()); (off - by).Abs() > time.Second {
			return fmt.Errorf("it is off by %v", off)
		}
		return nil
	})
}

// Time is what it says the time is.
func (r *Redis) Time() time.Time {
	r.t.Helper()
	answer := r.CLI("TIME")
	seconds, micros, _ := strings.Cut(answer, "\n")
	s, bad := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
	us, worse := strconv.ParseInt(strings.TrimSpace(micros), 10, 64)
	if bad != nil || worse != nil {
		r.t.Fatalf("%s: TIME is answered with %q", r.name, answer)
	}
	return time.Unix(s, us*1000)
}
