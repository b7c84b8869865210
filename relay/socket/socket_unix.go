//go:build unix

package socket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// Of returns c's descriptor if it is a socket, and else nil.
func Of(c net.Conn) syscall.RawConn {
	if s, ok := c.(syscall.Conn); ok {
		if fd, err := s.SyscallConn(); err == nil {
			return fd
		}
	}
	return nil
}

// TryRead reads what has come, with the argument of a function that RawConn.Read has called. wait says that
// nothing has yet.
func TryRead(fd uintptr, p []byte) (n int, wait bool) {
	n, err := read(fd, p)
	return n, err == syscall.EAGAIN
}

// TryPeek returns how much of what has come it has copied to p, which is still to be read.
func TryPeek(fd uintptr, p []byte) (n int) {
	n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	return n
}

// TryWrite writes what the socket takes of p at once, which may be nothing.
func TryWrite(fd uintptr, p []byte) (int, error) {
	n, err := write(fd, p)
	switch err {
	case 0:
		return n, nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, os.NewSyscallError("write", err)
}

// Read is net.Conn's.
func Read(fd syscall.RawConn, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t := try{call: read, buf: p}
	if err := t.with(fd.Read); err != nil {
		return 0, os.NewSyscallError("read", err)
	}
	if t.n == 0 {
		return 0, io.EOF
	}
	return t.n, nil
}

// Write is net.Conn's.
func Write(fd syscall.RawConn, p []byte) (done int, err error) {
	for done < len(p) {
		t := try{call: write, buf: p[done:]}
		if err := t.with(fd.Write); err != nil {
			return done, os.NewSyscallError("write", err)
		}
		done += t.n
	}
	return done, nil
}

// try is one call, made until the socket has something or takes something.
type try struct {
	call func(fd uintptr, p []byte) (int, syscall.Errno)
	buf  []byte
	n    int
	err  syscall.Errno
}

// with makes the call. ready is the descriptor's Read or Write, which calls again when it is time to.
func (t *try) with(ready func(func(fd uintptr) bool) error) error {
	if err := ready(t.once); err != nil {
		return err
	}
	if t.err != 0 {
		return t.err
	}
	return nil
}

func (t *try) once(fd uintptr) (done bool) {
	t.n, t.err = t.call(fd, t.buf)
	return t.err != syscall.EAGAIN
}
