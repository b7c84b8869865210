package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/rueidis"

	"setu/relay/socket"
)

// The feed has a client of its own, for the sake of one command. rueidis sends a PING behind each
// UNSUBSCRIBE, whose answer tells it how far it is, and panics at an answer that it does not know. A
// Redis that can't persist refuses PING alone of all commands that do not write (MISCONF). What the
// feed sends holds rooms' names, which are clients' to choose: so a PING counts as one where a command
// begins, and arguments are passed over by their lengths.

// openSubscriber makes the feed's client.
func (b *Broker) openSubscriber() (rueidis.Client, error) {
	opt := b.opt
	opt.DisableCache = true
	dial := opt.DialCtxFn
	opt.DialCtxFn = func(ctx context.Context, address string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
		c, err := dial(ctx, address, d, cfg)
		if err != nil {
			return nil, err
		}
		return &pinglessConn{Conn: c}, nil
	}
	return rueidis.NewClient(opt)
}

// dialRedis dials as rueidis does by itself.
func dialRedis(ctx context.Context, address string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c = socket.Direct(c)
	if cfg == nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	secure := tls.Client(c, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return secure, nil
}

var (
	pingCommand = []byte("*1\r\n$4\r\nPING\r\n")
	pongScript  = []byte("*3\r\n$4\r\nEVAL\r\n$13\r\nreturn 'PONG'\r\n$1\r\n0\r\n")
)

// pinglessConn is a connection to Redis on which a script says PONG instead of PING. It has one writer, of
// commands as arrays of bulk strings (https://redis.io/docs/latest/develop/reference/protocol-spec).
type pinglessConn struct {
	net.Conn
	rest []byte // of what was written, the beginning of a line, or of what may be a PING
	args int    // of the command under way, how many are to come
	skip int    // bytes to come of an argument that has begun, with its line end
}

// Write implements net.Conn.
func (c *pinglessConn) Write(p []byte) (int, error) {
	in := p
	if len(c.rest) > 0 {
		in = append(c.rest, p...)
	}
	out, rest, err := c.replace(in)
	if err != nil {
		return 0, err
	}
	c.rest = bytes.Clone(rest)
	if len(out) > 0 {
		_, err = c.Conn.Write(out)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// replace returns what goes out of in now, and what waits for more.
func (c *pinglessConn) replace(in []byte) (out, rest []byte, err error) {
	at, copied := 0, 0
	for at < len(in) {
		n, isPing, err := c.next(in[at:])
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			break
		}
		if isPing {
			out = append(append(out, in[copied:at]...), pongScript...)
			copied = at + n
		}
		at += n
	}
	if copied == 0 {
		return in[:at], in[at:], nil
	}
	return append(out, in[copied:at]...), in[at:], nil
}

// next returns the size of what comes next: a PING, a line that says how much follows, or what has come of
// an argument. It is 0 if that is not whole yet.
func (c *pinglessConn) next(in []byte) (n int, isPing bool, err error) {
	switch {
	case c.skip > 0:
		n = min(c.skip, len(in))
		c.skip -= n
		return n, false, nil
	case c.args == 0 && bytes.HasPrefix(in, pingCommand):
		return len(pingCommand), true, nil
	case c.args == 0 && bytes.HasPrefix(pingCommand, in):
		return 0, false, nil
	}
	line, _, whole := bytes.Cut(in, []byte("\r\n"))
	if !whole {
		return 0, false, nil
	}
	count, err := strconv.ParseUint(string(line[min(1, len(line)):]), 10, 31)
	if err != nil {
		return 0, false, fmt.Errorf("not a command of Redis': %.40q", line)
	}
	if c.args == 0 {
		c.args = int(count)
	} else {
		c.args, c.skip = c.args-1, int(count)+len("\r\n")
	}
	return len(line) + len("\r\n"), false, nil
}
