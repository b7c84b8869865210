//go:build linux

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a program that this one has started.
type Process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	log   tail
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - most; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// start starts a program, which ends with this one, whatever ends that.
func start(name string, env []string, program string, args ...string) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// A group of its own: Ctrl-C is for this program, which ends the others when it is done with them.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // an exit status says nothing of one that is killed
		close(p.ended)
	}()
	return p, nil
}

// PID returns its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Alive returns an error, with the end of its log, if it has ended.
func (p *Process) Alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s", p.name, &p.log)
	default:
		return nil
	}
}

// until waits until ready succeeds.
func (p *Process) until(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.Alive()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; it says: %s", p.name, err, &p.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends it: at once, or, with a signal, when it is done, for which it has some seconds.
func (p *Process) Stop(s os.Signal) {
	if s != nil && p.cmd.Process.Signal(s) == nil {
		select {
		case <-p.ended:
			return
		case <-time.After(15 * time.Second):
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// freePort returns a port of 127.0.0.1 on which nothing listens.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// listens returns an error if nothing listens on a port.
func listens(port int) func() error {
	return func() error {
		c, err := net.DialTimeout("tcp", fmt.Sprint("127.0.0.1:", port), time.Second)
		return errors.Join(err, closed(c))
	}
}

func closed(c net.Conn) error {
	if c == nil {
		return nil
	}
	return c.Close()
}
