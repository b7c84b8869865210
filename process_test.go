//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"setu/relay/wiretest"
)

// serves, in the environment, makes the test's binary the relay.
const serves = "SETU_TEST_SERVES"

func TestMain(m *testing.M) {
	if os.Getenv(serves) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a relay in a process of its own.
type process struct {
	// immutable after startProcess
	t       *testing.T
	cmd     *exec.Cmd
	address string

	mu   sync.Mutex
	more *sync.Cond // on mu: log grew, or ended

	// guarded by mu
	log strings.Builder
	eof bool
}

// startProcess starts a relay for 100 clients that may open as many files as files says.
func startProcess(t *testing.T, files int, environ ...string) *process {
	t.Helper()
	address, port := holdPort(t)
	p := &process{t: t, address: address}
	p.more = sync.NewCond(&p.mu)
	// As a script's background process, which a shell starts with SIGINT ignored.
	p.cmd = exec.Command("sh", "-c", `trap '' INT; ulimit -n "$1" && exec "$2"`, "sh", fmt.Sprint(files), os.Args[0])
	p.cmd.Env = append([]string{serves + "=1", "LOG_LEVEL=debug", "MAX_CONNECTIONS=100", "HOST=127.0.0.1", "PORT=" + port}, environ...)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(bufio.NewScanner(out))
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			p.wait()
		}
		if t.Failed() {
			t.Log(p.said())
		}
	})
	p.await("msg=serving")
	return p
}

func (p *process) read(lines *bufio.Scanner) {
	for more := true; more; {
		more = lines.Scan()
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.eof = !more
		p.mu.Unlock()
		p.more.Broadcast()
	}
}

// await waits until the log holds s.
func (p *process) await(s string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !strings.Contains(p.log.String(), s) {
		if p.eof {
			p.t.Fatalf("it ended without %q in its log:\n%s", s, p.log.String())
		}
		p.more.Wait()
	}
}

// said is the log so far.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// holdPort returns an address, and its port, that are the test's alone for whomever it starts there.
func holdPort(t *testing.T) (address, port string) {
	t.Helper()
	address, release, err := wiretest.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	_, port, _ = net.SplitHostPort(address)
	return address, port
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the process to end. It returns the log from when it began to serve, and the exit
// status, which is -1 after a signal.
func (p *process) wait() (log string, status int) {
	p.mu.Lock()
	for !p.eof {
		p.more.Wait()
	}
	_, log, _ = strings.Cut(p.log.String(), "msg=serving")
	p.mu.Unlock()
	_ = p.cmd.Wait()
	return log, p.cmd.ProcessState.ExitCode()
}

// connect makes a client that reads, and so answers the relay's close.
func (p *process) connect() {
	p.t.Helper()
	ws, res, err := websocket.Dial(p.t.Context(), "ws://"+p.address+"/socket.io?EIO=4&transport=websocket", nil)
	if err != nil {
		p.t.Fatal(res, err)
	}
	p.t.Cleanup(func() { _ = ws.CloseNow() })
	go func() {
		for err := error(nil); err == nil; {
			_, _, err = ws.Read(context.Background())
		}
	}()
}

// connectDeaf makes a client that reads its handshake, and nothing more.
func (p *process) connectDeaf() {
	p.t.Helper()
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	wiretest.Upgrade(p.t, c).Packet()
}

const manyFiles = 700 // for 100 clients: no warning

func TestDrainOfNobody(t *testing.T) {
	p := startProcess(t, manyFiles)
	p.signal(syscall.SIGTERM)
	log, status := p.wait()
	if status != 0 || !strings.Contains(log, "msg=drained\n") || strings.Contains(log, "level=WARN") || strings.Contains(log, "error=") {
		t.Errorf("exit status %d, log:\n%s", status, log)
	}
}

// What packages write to Go's own log stands in the relay's, as all does, without what an app has answered.
func TestStrayLog(t *testing.T) {
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	go func() {
		for {
			c, err := app.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
			_, _ = io.WriteString(c, answer)
			_, _ = io.WriteString(c, answer+"s3cr3t")
		}
	}()
	p := startProcess(t, manyFiles, "LOG_FORMAT=text", "HOOK_URL=http://"+app.Addr().String(), "HOOK_NETWORK=any")
	for range 20 { // mostly the first will do
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		client := wiretest.Upgrade(t, c)
		client.Packet()
		client.Text("40")
		client.Packet()
		_ = c.Close()
	}
	p.await("Unsolicited response")
	p.signal(syscall.SIGKILL)
	log, _ := p.wait()
	_, lines, _ := strings.Cut(log, "\n")
	for line := range strings.Lines(lines) {
		if line != "\n" && !strings.HasPrefix(line, "time=") || strings.Contains(line, "HTTP/1.1") || strings.Contains(line, "s3cr3t") {
			t.Error(line)
		}
	}
}

// A platform that loses patience sends SIGTERM once more: the drain goes on.
func TestSecondSIGTERM(t *testing.T) {
	p := startProcess(t, manyFiles, "DRAIN_TIMEOUT=1m")
	p.connect()
	p.signal(syscall.SIGTERM)
	p.await("msg=draining")
	p.signal(syscall.SIGTERM)
	log, status := p.wait()
	if status != 0 || !strings.Contains(log, "msg=drained\n") || strings.Contains(log, "level=WARN") {
		t.Errorf("exit status %d, log:\n%s", status, log)
	}
}

// A relay that drains ends at once if somebody presses Ctrl-C again.
func TestSecondSIGINT(t *testing.T) {
	for _, first := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := startProcess(t, manyFiles, "DRAIN_TIMEOUT=1m")
		p.connectDeaf()
		p.signal(first)
		p.await("msg=draining")
		p.signal(syscall.SIGINT)
		log, status := p.wait()
		if status == 0 || strings.Contains(log, "drained") {
			t.Errorf("%s: exit status %d, log:\n%s", first, status, log)
		}
	}
}

func TestDrainThatForces(t *testing.T) {
	p := startProcess(t, manyFiles, "DRAIN_TIMEOUT=300ms")
	p.connectDeaf()
	p.signal(syscall.SIGTERM)
	log, status := p.wait()
	if status != 1 || strings.Contains(log, "msg=drained\n") || !strings.Contains(log, `level=WARN msg="drained, but clients had to be cut off`) ||
		!strings.Contains(log, `error="context deadline exceeded"`) || strings.Contains(log, "setu:") {
		t.Errorf("exit status %d, log:\n%s", status, log)
	}
}

// A relay that may open too few files says so at start, and again when it has none left.
func TestFewFiles(t *testing.T) {
	const files = 64
	p := startProcess(t, files)
	p.await("the limit on open files is 64, too low for MAX_CONNECTIONS=100 and 500 more")
	for range files {
		c, err := net.DialTimeout("tcp", p.address, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	p.await("too many open files")
	p.signal(syscall.SIGKILL)
	log, _ := p.wait()
	if n := strings.Count(log, "level=WARN msg=\"cannot accept connections"); n == 0 || n > 10 {
		t.Errorf("%d warnings, log:\n%s", n, log)
	}
	fine := startProcess(t, manyFiles)
	fine.signal(syscall.SIGTERM)
	fine.wait()
	if strings.Contains(fine.said(), "limit on open files") {
		t.Errorf("%d files are too few for 100 clients", manyFiles)
	}
}
