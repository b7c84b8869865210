package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/wiretest"
)

var exit = os.Exit

// server is a redis-server process: its address stays, whatever happens to it.
type server struct {
	dir, addr string
	args      []string
	release   func() // lets go of the address
	process   *exec.Cmd
	admin     rueidis.Client
}

// shared is the server of all tests that do not break it.
var shared server

var startShared = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "setu-redis-")
	if err != nil {
		return err
	}
	return shared.open(dir)
})

// requireRedis skips if there is no redis-server, but not in CI: nobody would notice.
func requireRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// sharedServer is for tests with keys of their own prefix.
func sharedServer(t testing.TB) *server {
	t.Helper()
	requireRedis(t)
	if err := startShared(); err != nil {
		t.Fatal(err)
	}
	return &shared
}

// ownServer is for tests that break it, or count what reaches it.
func ownServer(t testing.TB, args ...string) *server {
	t.Helper()
	requireRedis(t)
	s := &server{args: args}
	if err := s.open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *server) open(dir string) (err error) {
	s.dir = dir
	if s.addr, s.release, err = wiretest.HoldPort(); err != nil {
		return err
	}
	return s.start()
}

// start starts the process and waits until it answers.
func (s *server) start() error {
	_, port, _ := net.SplitHostPort(s.addr)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--loglevel", "warning"}, s.args...)
	s.process = exec.Command("redis-server", args...)
	if err := s.process.Start(); err != nil {
		return err
	}
	err := errors.New("redis-server does not answer")
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
		err = s.ping()
	}
	if err != nil {
		return err
	}
	if s.admin != nil { // it may not have noticed yet that its server is gone
		s.admin.Close()
	}
	s.admin, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.addr}, ForceSingleClient: true, DisableCache: true,
		Dialer: net.Dialer{Timeout: patience}, ConnWriteTimeout: patience})
	return err
}

func (s *server) ping() error {
	c, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		<-time.After(5 * time.Millisecond)
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, 5)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "+PONG" && string(answer) != "-NOAU" {
		return fmt.Errorf("%q: %w", answer, errors.Join(err, errors.New("not ready")))
	}
	return nil
}

func (s *server) kill() {
	s.process.Process.Signal(syscall.SIGKILL)
	s.process.Wait()
}

func (s *server) stop() {
	if s.process == nil {
		return
	}
	if s.admin != nil {
		s.admin.Close()
	}
	s.kill()
	s.release()
	if s == &shared {
		os.RemoveAll(s.dir)
	}
}

func (s *server) signal(sig syscall.Signal) { s.process.Process.Signal(sig) }

// do runs a command, given as one line, and returns its answer as text.
func (s *server) do(t testing.TB, line string, more ...string) string {
	t.Helper()
	args := append(strings.Fields(line), more...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := s.admin.Do(ctx, s.admin.B().Arbitrary(args...).Build())
	m, err := r.ToMessage()
	if rueidis.IsRedisNil(err) {
		return ""
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if text, err := m.ToString(); err == nil {
		return text
	}
	if n, err := m.AsInt64(); err == nil {
		return fmt.Sprint(n)
	}
	list, err := m.AsStrSlice()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Join(list, "\n")
}

// cut ends all connections but its own at once: none that is being made anew meanwhile is among them.
func (s *server) cut(t testing.TB) {
	t.Helper()
	kill := func(kind string) rueidis.Completed {
		return s.admin.B().Arbitrary("CLIENT", "KILL", "TYPE", kind).Build()
	}
	for _, r := range s.admin.DoMulti(t.Context(), kill("pubsub"), kill("normal")) {
		if err := r.Error(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *server) dump() string { return filepath.Join(s.dir, "dump.rdb") }

// save keeps what the server holds, and returns what brings it back.
func (s *server) save(t testing.TB) (restart func()) {
	t.Helper()
	s.do(t, "SAVE")
	kept, err := os.ReadFile(s.dump())
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		s.kill()
		if err := errors.Join(os.WriteFile(s.dump(), kept, 0o600), s.start()); err != nil {
			t.Fatal(err)
		}
	}
}
