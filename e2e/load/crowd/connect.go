//go:build linux

package crowd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"setu/e2e/load/wire"
)

const (
	// patience is how long a storm may go on without a client that gets in.
	patience = 30 * time.Second
	// A client that is refused tries again, as stock ones do, but not for ever.
	maxTries   = 6
	retryAfter = 500 * time.Millisecond
)

// Connect lets clients in up to the one with the number to, so many of them at a time, and returns how long
// that took.
func (c *Crowd) Connect(ctx context.Context, to, atOnce int) (time.Duration, error) {
	from := c.in
	return c.enter(ctx, c.clients[from:to], atOnce)
}

// enter lets clients in that are away.
func (c *Crowd) enter(ctx context.Context, who []*Client, atOnce int) (time.Duration, error) {
	begun := c.now()
	want, in, progress := c.in+len(who), c.in, begun
	for c.in < want {
		for len(who) > 0 && c.underWay < atOnce {
			c.dial(who[0])
			who = who[1:]
		}
		c.retry()
		if err := errors.Join(c.poll(5*time.Millisecond), ctx.Err()); err != nil {
			return 0, err
		}
		if c.in > in {
			in, progress = c.in, c.now()
		}
		if c.now() > progress+patience {
			return 0, fmt.Errorf("%d of %d clients got in, and then none for %v", c.in, want, patience)
		}
	}
	return c.now() - begun, nil
}

// sourceOf returns the address from which a client dials: a loopback address has 28,000 ports.
func sourceOf(i int) [4]byte {
	return [4]byte{127, 1, byte(os.Getpid()), byte(2 + i/5000)}
}

// dial begins a client's way in.
func (c *Crowd) dial(k *Client) {
	k.since, k.state = c.now(), dialing
	c.underWay++
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		c.underWay--
		k.state = away
		c.failed = fmt.Errorf("socket: %w", err)
		return
	}
	k.fd = fd
	for len(c.byFD) <= fd {
		c.byFD = append(c.byFD, nil)
	}
	c.byFD[fd] = k
	if err := c.connect(k, c.o.Relays[k.relay]); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		c.watch(k, unix.EPOLL_CTL_ADD, false)
		c.drop(k, fmt.Sprint("connect: ", err))
		return
	}
	c.watch(k, unix.EPOLL_CTL_ADD, true)
}

func (c *Crowd) connect(k *Client, to netip.AddrPort) error {
	if err := unix.SetsockoptInt(k.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if to.Addr().IsLoopback() {
		if err := unix.SetsockoptInt(k.fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
		if err := unix.Bind(k.fd, &unix.SockaddrInet4{Addr: sourceOf(k.member*c.groups + k.group)}); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	return unix.Connect(k.fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

// dialed asks for a WebSocket.
func (c *Crowd) dialed(k *Client) {
	k.state = upgrading
	c.watch(k, unix.EPOLL_CTL_MOD, false)
	c.write(k, wire.Handshake(c.o.Relays[k.relay].String()))
}

// opened asks for the namespace, or for the session that the client had in it.
func (c *Crowd) opened(k *Client) {
	k.state = connecting
	if k.pid == "" {
		c.text(k, wire.Connect)
		return
	}
	c.text(k, wire.Recover(k.pid, k.offset))
}

// connected goes on to the rooms, in which a client is already that has its session back.
func (c *Crowd) connected(k *Client, packet []byte, now time.Duration) {
	pid, err := wire.PID(packet)
	if err != nil || k.state != connecting {
		c.unexpected(packet)
		return
	}
	recovered := pid != "" && pid == k.pid
	if k.pid != "" && c.returned != nil {
		c.returned.add(recovered)
	}
	k.pid = pid
	if recovered {
		c.arrived(k, now)
		return
	}
	k.state = joining
	c.join(k)
}

// join asks for the next room. Who was there before asks for what it has missed, too.
func (c *Crowd) join(k *Client) {
	var since []byte
	if k.wanted && c.perOne == 1 {
		since = k.offset
	}
	k.acks++
	c.text(k, wire.Join(int(k.acks), c.roomName(c.room(k, k.entered)), since))
}

// enteredRoom takes the answer to a join.
func (c *Crowd) enteredRoom(k *Client, answer []byte, now time.Duration) {
	if k.wanted {
		c.hear(k, answer, now) // what it missed
	}
	if k.entered++; k.entered < c.perOne {
		c.join(k)
		return
	}
	c.arrived(k, now)
}

func (c *Crowd) arrived(k *Client, now time.Duration) {
	k.state, k.wanted, k.tries, k.entered = joined, true, 0, c.perOne
	c.underWay--
	c.in++
	if c.returned != nil {
		c.returned.Took.Add(now - k.since)
	}
}

// drop ends a connection that is no good. Who was on the way in tries again.
func (c *Crowd) drop(k *Client, why string) {
	if k.state == away {
		return
	}
	was := k.state
	c.cut(k)
	if was == joined {
		c.faults.Closed++
		c.fault("a client lost its connection: %s", why)
		return
	}
	if k.tries++; k.tries == maxTries {
		c.failed = fmt.Errorf("a client gave up after %d attempts: %s", k.tries, why)
		return
	}
	k.retryAt = c.now() + retryAfter
	c.again = append(c.again, k)
}

// retry lets those try again whose time has come.
func (c *Crowd) retry() {
	for len(c.again) > 0 && c.again[0].retryAt <= c.now() {
		if k := c.again[0]; k.state == away {
			since := k.since
			c.dial(k)
			k.since = since
		}
		c.again = c.again[1:]
	}
}
