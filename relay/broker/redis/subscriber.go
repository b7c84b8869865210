package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"

	"github.com/redis/rueidis"

	"setu/relay/socket"
)

// The feed has a client of its own, for the sake of one command. rueidis sends a PING behind each
// UNSUBSCRIBE, whose answer tells it how far it is, and panics at an answer that it does not know. A
// Redis that can't persist refuses PING alone of all commands that do not write (MISCONF). What the
// feed sends holds nothing of clients' but rooms' names, in which there are no line ends: so the PINGs
// can be found in it.

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

// pinglessConn is a connection to Redis on which a script says PONG instead of PING. It has one writer.
type pinglessConn struct {
	net.Conn
	rest []byte // of what was written, the beginning of what may be a PING
}

// Write implements net.Conn.
func (c *pinglessConn) Write(p []byte) (int, error) {
	if len(c.rest) == 0 && bytes.IndexByte(p, pingCommand[0]) < 0 {
		return c.Conn.Write(p)
	}
	out := bytes.ReplaceAll(append(c.rest, p...), pingCommand, pongScript)
	keep := len(pingCommand) - 1
	for keep > 0 && !bytes.HasSuffix(out, pingCommand[:keep]) {
		keep--
	}
	c.rest = bytes.Clone(out[len(out)-keep:])
	if _, err := c.Conn.Write(out[:len(out)-keep]); err != nil {
		return 0, err
	}
	return len(p), nil
}
