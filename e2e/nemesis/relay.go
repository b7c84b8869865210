package nemesis

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"setu/e2e/secrets"
	"setu/relay/wiretest"
)

// built is where build has put the relay; "" if it was not called.
var built string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "setu-nemesis-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "setu")
	cmd := exec.Command("go", "build", "-o", path, "setu")
	if out, err := cmd.CombinedOutput(); err != nil {
		return string(out), err
	}
	return path, nil
})

// CleanUp removes the relay that was built, when no test runs any more.
func CleanUp() error {
	if built == "" {
		return nil
	}
	return os.RemoveAll(built)
}

// Relay is a relay that runs as a process of this machine, on an address that stays.
type Relay struct {
	t       testing.TB
	name    string
	address string
	env     []string
	Link    *wiretest.Link

	mu      sync.Mutex // guards what follows
	process *exec.Cmd
	log     bytes.Buffer
}

// StartRelay starts a relay over a link, and waits until it is ready. Its log is shown if the test
// fails.
func StartRelay(t testing.TB, name string, link *wiretest.Link, env ...string) *Relay {
	t.Helper()
	address, release, err := wiretest.HoldPort() // also while it is killed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	_, port, _ := net.SplitHostPort(address)
	r := &Relay{t: t, name: name, address: address, Link: link}
	r.env = append([]string{"HOST=127.0.0.1", "PORT=" + port, "RELAY_ID=" + name, "REDIS_URL=redis://" + link.Address(), "GOMEMLIMIT=128MiB"}, append(wiretest.Unlimited(), env...)...)
	r.Start()
	t.Cleanup(func() {
		r.Kill()
		for _, found := range secrets.In(r.Log()) {
			t.Errorf("%s has written %s", name, found)
		}
		if t.Failed() {
			t.Logf("%s's log:\n%s", name, r.Log())
		}
	})
	for end := time.Now().Add(90 * time.Second); r.Status() != http.StatusOK; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is not ready; its log:\n%s", name, r.Log())
		}
	}
	return r
}

// Start starts the process.
func (r *Relay) Start() {
	r.t.Helper()
	path, err := build()
	if err != nil {
		r.t.Fatalf("%v: %s", err, path)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = exec.Command(path)
	r.process.Env = append(os.Environ(), r.env...)
	r.process.Stdout, r.process.Stderr = &locked{r}, &locked{r}
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// Try starts a relay with settings that are to stop it, or to have it complain, and returns what it has
// said after a moment.
func Try(t testing.TB, env ...string) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("%v: %s", err, path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(append(os.Environ(), "HOST=127.0.0.1", "PORT=1"), env...)
	out, _ := cmd.CombinedOutput() // it ends by an error, or is killed
	return string(out)
}

// locked takes a relay's log.
type locked struct{ r *Relay }

func (l *locked) Write(b []byte) (int, error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if over := l.r.log.Len() - 1<<18; over > 0 { // the newest say most
		l.r.log.Next(over)
	}
	return l.r.log.Write(b)
}

// Log is what the relay has said lately.
func (r *Relay) Log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *Relay) signal(s os.Signal) *exec.Cmd {
	r.mu.Lock()
	p := r.process
	r.mu.Unlock()
	_ = p.Process.Signal(s)
	return p
}

// Kill ends it without a word.
func (r *Relay) Kill() { _ = r.signal(syscall.SIGKILL).Wait() }

// Term has it drain, waits until it has ended, and returns the exit code.
func (r *Relay) Term() int {
	p := r.signal(syscall.SIGTERM)
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

// Freeze stops it where it is, Thaw has it go on.
func (r *Relay) Freeze() { r.signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (r *Relay) Thaw() { r.signal(syscall.SIGCONT) }

// Name is its RELAY_ID.
func (r *Relay) Name() string { return r.name }

// Address is its host and port.
func (r *Relay) Address() string { return r.address }

// WS is its Socket.IO endpoint over WebSocket.
func (r *Relay) WS() string { return "ws://" + r.address + "/socket.io/?EIO=4&transport=websocket" }

// Status is what /readyz answers, 0 if it does not.
func (r *Relay) Status() int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/readyz", nil)
	if err != nil {
		return 0
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// URL is where it serves.
func (r *Relay) URL() string { return "http://" + r.address }
