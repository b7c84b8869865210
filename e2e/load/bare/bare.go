//go:build linux

// Package bare is the limit that a relay is measured against: one process and one thread, no Redis, a frame
// made once per message, and one write(2) per delivery. It does what a relay can't do less of, and nothing
// else: no heartbeats, no history, no limits.
package bare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Server is the bare limit. One goroutine runs it.
type Server struct {
	epoll, listener int
	conns           map[int32]*conn
	rooms           map[string][]*conn
	buffer, frame   []byte
}

type conn struct {
	fd       int32
	upgraded bool
	room     []string
	in       []byte
	out      []byte // what the socket did not take
}

// Serve serves whoever connects to a port of 127.0.0.1 until ctx ends.
func Serve(ctx context.Context, port int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &Server{conns: map[int32]*conn{}, rooms: map[string][]*conn{}, buffer: make([]byte, 256<<10)}
	if err := s.listen(port); err != nil {
		return fmt.Errorf("listen on 127.0.0.1:%d: %w", port, err)
	}
	defer s.close()
	events := make([]unix.EpollEvent, 512)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(s.epoll, events, int(time.Second/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			s.handle(e)
		}
	}
	return nil
}

func (s *Server) listen(port int) (err error) {
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	loopback := [4]byte(net.IPv4(127, 0, 0, 1).To4())
	return errors.Join(
		unix.SetsockoptInt(s.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(s.listener, &unix.SockaddrInet4{Port: port, Addr: loopback}),
		unix.Listen(s.listener, 4096),
		s.watch(unix.EPOLL_CTL_ADD, int32(s.listener), unix.EPOLLIN))
}

func (s *Server) close() {
	for fd := range s.conns {
		_ = unix.Close(int(fd))
	}
	_ = unix.Close(s.listener)
	_ = unix.Close(s.epoll)
}

func (s *Server) watch(op int, fd int32, what uint32) error {
	return unix.EpollCtl(s.epoll, op, int(fd), &unix.EpollEvent{Events: what, Fd: fd})
}

func (s *Server) handle(e unix.EpollEvent) {
	if e.Fd == int32(s.listener) {
		s.accept()
		return
	}
	c := s.conns[e.Fd]
	if c == nil {
		return
	}
	if e.Events&unix.EPOLLOUT != 0 {
		s.flush(c)
	}
	if e.Events&^unix.EPOLLOUT == 0 {
		return
	}
	n, err := unix.Read(int(c.fd), s.buffer)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 || !s.input(c, s.buffer[:n]) {
		s.drop(c)
	}
}

func (s *Server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		s.conns[int32(fd)] = &conn{fd: int32(fd)}
		_ = s.watch(unix.EPOLL_CTL_ADD, int32(fd), unix.EPOLLIN)
	}
}

func (s *Server) drop(c *conn) {
	delete(s.conns, c.fd)
	for _, room := range c.room {
		s.rooms[room] = slices.DeleteFunc(s.rooms[room], func(o *conn) bool { return o == c })
	}
	_ = unix.Close(int(c.fd))
}

// write is a bare write(2): Go's scheduler is not told of it, as it does not block.
func write(fd int32, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// send writes b, or keeps what the socket does not take.
func (s *Server) send(c *conn, b []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n, e := write(c.fd, b)
	if n == len(b) || e != 0 && e != unix.EAGAIN { // reading will say what is wrong
		return
	}
	c.out = append(c.out, b[n:]...)
	_ = s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN|unix.EPOLLOUT)
}

func (s *Server) flush(c *conn) {
	n, _ := write(c.fd, c.out)
	c.out = append(c.out[:0], c.out[n:]...)
	if len(c.out) == 0 {
		c.out = nil
		_ = s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN)
	}
}
