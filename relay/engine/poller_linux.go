package engine

import (
	"os"
	"sync"
	"syscall"

	"setu/relay/socket"
)

// poller rouses clients of which something has come. A goroutine that waits for each, as is usual, would take
// as much memory as all else that an idle client has. It is a second epoll(7) beside the runtime's, which
// waits for this one as for any file. The zero value is ready.
type poller struct {
	opening sync.Once

	// immutable once open
	epoll int
	file  *os.File        // of epoll; nil: the system has none to spare
	fd    syscall.RawConn // of file
	done  chan struct{}

	mu      sync.Mutex            // guards what follows
	resting []*webSocketTransport // by descriptor; nil: none
}

// once has a client roused once, until it is armed again.
const once = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT

func (p *poller) open() {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	_ = syscall.SetNonblock(epoll, true) // so that os has the runtime wait for it
	file := os.NewFile(uintptr(epoll), "epoll")
	fd, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return
	}
	p.epoll, p.file, p.fd, p.done = epoll, file, fd, make(chan struct{})
	go p.run()
}

// close ends the poller, when no client is left.
func (p *poller) close() {
	p.opening.Do(func() {}) // nobody opens it any more
	if p.file != nil {
		_ = p.file.Close()
		<-p.done
	}
}

// run rouses clients until the poller is closed.
func (p *poller) run() {
	defer close(p.done)
	var events [256]syscall.EpollEvent
	for {
		n := 0
		err := p.fd.Read(func(fd uintptr) bool {
			n = socket.EpollReady(fd, events[:])
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if t := p.at(int(e.Fd)); t != nil {
				t.rouse()
			}
		}
	}
}

func (p *poller) at(slot int) *webSocketTransport {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resting[slot]
}

// arm has t roused when something comes, or has come. It reports false if that can't be had.
func (p *poller) arm(t *webSocketTransport) bool {
	p.opening.Do(p.open)
	if p.file == nil {
		return false
	}
	ok := false
	err := t.conn.fd.Control(func(fd uintptr) { ok = p.armed(int(fd), t) })
	return ok && err == nil
}

func (p *poller) armed(fd int, t *webSocketTransport) bool {
	op := syscall.EPOLL_CTL_MOD
	if t.slot != fd {
		op = syscall.EPOLL_CTL_ADD
		t.slot = fd
		p.set(fd, t)
	}
	return syscall.EpollCtl(p.epoll, op, fd, &syscall.EpollEvent{Events: once, Fd: int32(fd)}) == nil
}

func (p *poller) set(slot int, t *webSocketTransport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for slot >= len(p.resting) {
		p.resting = append(p.resting, make([]*webSocketTransport, max(64, len(p.resting)/4))...)
	}
	p.resting[slot] = t
}

// remove forgets t, whose descriptor may be another's by now.
func (p *poller) remove(t *webSocketTransport) {
	if t.slot == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resting[t.slot] == t {
		p.resting[t.slot] = nil
	}
}
