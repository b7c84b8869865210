//go:build unix

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a connection over TCP, the first one direct.
func pair(t *testing.T) (direct, other net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), other.Close() })
	if direct = Direct(c); direct == c {
		t.Fatal("a socket is not direct")
	}
	return direct, other
}

// What a socket does not take at once goes out when it does, and comes as it was.
func TestWriteAndRead(t *testing.T) {
	direct, other := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	go func() {
		_, _ = direct.Write(sent)
		_ = direct.(*conn).Conn.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(other); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	go func() {
		_, _ = other.Write(sent)
		_ = other.Close()
	}()
	if got, err := io.ReadAll(direct); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	if n, err := direct.Read(nil); n != 0 || err != nil {
		t.Fatalf("an empty read: %d, %v", n, err)
	}
}

func TestTryWriteDoesNotWait(t *testing.T) {
	direct, _ := pair(t)
	fd := direct.(*conn).fd
	p := make([]byte, 1<<20)
	for left := 1 << 10; ; left-- { // until the buffers are full
		n, err := 0, error(nil)
		if e := fd.Write(func(fd uintptr) bool { n, err = TryWrite(fd, p); return true }); e != nil || err != nil || left == 0 {
			t.Fatal(e, err, left)
		}
		if n == 0 {
			return
		}
	}
}

func TestErrors(t *testing.T) {
	direct, other := pair(t)
	_ = direct.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := direct.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a deadline: %v", err)
	}
	_ = direct.SetReadDeadline(time.Time{})
	_ = other.(*net.TCPConn).SetLinger(0)
	_ = other.Close()
	if _, err := direct.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	if _, err := direct.Write(make([]byte, 1)); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("after a reset: %v", err)
	}
	_ = direct.Close()
	if _, err := direct.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after a close: %v", err)
	}
	if _, err := direct.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after a close: %v", err)
	}
}

func TestDirectLeavesOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Direct(a) != a {
		t.Error("a pipe is no socket")
	}
}
