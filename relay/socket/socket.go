// Package socket reads and writes sockets by system calls of which Go's scheduler is not told.
//
// The scheduler takes every system call for one that may wait. The first one after a pause wakes the
// runtime's monitor (sysmon), which from then on looks every 20 µs whether a call is still under way,
// and if so has another thread take over. A call on a socket of package net never waits: the runtime's
// poller does. So all that is for nothing; and of what a relay costs that serves many small rooms, it
// is a fifth.
package socket

import (
	"net"
	"syscall"
)

// Direct returns c, read and written as this package does if c is a socket.
func Direct(c net.Conn) net.Conn {
	if fd := Of(c); fd != nil {
		return &conn{c, fd}
	}
	return c
}

type conn struct {
	net.Conn
	fd syscall.RawConn
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) { return Read(c.fd, p) }

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) { return Write(c.fd, p) }
