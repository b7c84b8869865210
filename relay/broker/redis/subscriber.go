package redis

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/redis/rueidis"

	"setu/relay/socket"
)

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
