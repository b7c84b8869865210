//go:build unix

package wiretest

import (
	"net"
	"syscall"
	"testing"
)

// tight is a listener whose connections hold next to nothing, so that writes are cut anywhere.
type tight struct{ net.Listener }

// Accept implements net.Listener.
func (l tight) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// ListenTightTCP is ListenTCP with tiny socket buffers on both sides.
func ListenTightTCP(t testing.TB) (net.Listener, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	return tight{l}, func() net.Conn {
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}
