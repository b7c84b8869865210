//go:build linux

package crowd

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// poll waits until a client hears something, or d has passed, and lets each that does read once.
func (c *Crowd) poll(d time.Duration) error {
	if d > 0 {
		timeout := unix.NsecToTimespec(int64(d))
		_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(c.epoll), Events: unix.POLLIN}}, &timeout, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
	}
	n, err := unix.EpollWait(c.epoll, c.events, 0)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll: %w", err)
	}
	for _, e := range c.events[:max(n, 0)] {
		k := c.byFD[e.Fd]
		if k == nil {
			continue
		}
		if e.Events&unix.EPOLLOUT != 0 {
			c.writable(k)
		}
		if k.state != away && e.Events&^unix.EPOLLOUT != 0 {
			c.readable(k)
		}
	}
	return c.failed
}

// rest sleeps without being woken by what comes, so that relays need not pay for waking anybody.
func (c *Crowd) rest(d time.Duration) {
	timeout := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&timeout, nil) // an interrupted one is short, and the caller looks at the clock
}

// watch has the poll tell when k may be read, and, if it has something to write, when it takes that.
func (c *Crowd) watch(k *Client, op int, write bool) {
	e := unix.EpollEvent{Fd: int32(k.fd), Events: unix.EPOLLIN}
	if write {
		e.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(c.epoll, op, k.fd, &e); err != nil {
		c.drop(k, fmt.Sprint("epoll: ", err))
	}
}

func (c *Crowd) readable(k *Client) {
	n, err := unix.Read(k.fd, c.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
	case err != nil:
		c.drop(k, fmt.Sprint("read: ", err))
	case n == 0:
		c.drop(k, "the relay closed the connection")
	default:
		c.count.bytes += n
		c.count.reads++
		c.input(k, c.buffer[:n])
	}
}

// write sends b, or keeps what the socket does not take.
func (c *Crowd) write(k *Client, b []byte) {
	if len(k.out) > 0 {
		k.out = append(k.out, b...)
		return
	}
	n, err := unix.Write(k.fd, b)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		c.drop(k, fmt.Sprint("write: ", err))
		return
	}
	if n = max(n, 0); n < len(b) {
		k.out = append(k.out, b[n:]...)
		c.watch(k, unix.EPOLL_CTL_MOD, true)
	}
}

// writable goes on with what has to be written, or with a connection that stands by now.
func (c *Crowd) writable(k *Client) {
	if k.state == dialing {
		if code, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			c.drop(k, fmt.Sprint("connect: ", unix.Errno(code)))
			return
		}
		c.dialed(k)
		return
	}
	rest := k.out
	k.out = nil
	c.watch(k, unix.EPOLL_CTL_MOD, false)
	if len(rest) > 0 && k.state != away {
		c.write(k, rest)
	}
}
