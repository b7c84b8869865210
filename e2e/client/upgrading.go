package client

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
)

// upgrading begins with polling and goes on over WebSocket as soon as that is found to work. If it is
// not, it stays with polling.
type upgrading struct {
	*polling
	probing sync.WaitGroup
	probed  atomic.Pointer[socket] // one that the relay has answered on

	switching sync.RWMutex
	socket    *socket // guarded by switching; nil: still polling
}

func dialUpgrading(ctx context.Context, endpoint string) (*upgrading, error) {
	p, err := dialPolling(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	u := &upgrading{polling: p}
	u.probing.Go(func() {
		ctx, cancel := context.WithTimeout(p.life, dialTimeout)
		defer cancel()
		if s, err := probe(ctx, endpoint, p.sid); err == nil {
			u.probed.Store(s)
		}
	})
	return u, nil
}

// probe opens a WebSocket for the session, and asks whether anything comes through.
func probe(ctx context.Context, endpoint, sid string) (*socket, error) {
	s, err := dialWebSocket(ctx, endpoint+"&sid="+url.QueryEscape(sid))
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, text("2probe"))
	if err == nil {
		var answer packet
		if answer, err = s.read(ctx); err == nil && string(answer.data) != "3probe" {
			err = fmt.Errorf("the relay answered a probe with %.200q", answer.data)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// read leaves polling between two answers, when all that the last one brought has been read: a GET under
// way is answered when the relay has seen the probe.
func (u *upgrading) read(ctx context.Context) (packet, error) {
	for {
		if s := u.current(); s != nil {
			return s.read(ctx)
		}
		if next, is := u.next(); is {
			return next, nil
		}
		var err error
		if s := u.probed.Load(); s != nil {
			err = u.change(ctx, s)
		} else {
			err = u.get(ctx)
		}
		if err != nil {
			return packet{}, err
		}
	}
}

// change has all that follows go over WebSocket. A POST under way is waited for.
func (u *upgrading) change(ctx context.Context, s *socket) error {
	u.switching.Lock()
	defer u.switching.Unlock()
	if err := s.write(ctx, text("5")); err != nil {
		return err
	}
	u.socket = s
	return nil
}

func (u *upgrading) write(ctx context.Context, packets ...packet) error {
	u.switching.RLock()
	defer u.switching.RUnlock()
	if u.socket != nil {
		return u.socket.write(ctx, packets...)
	}
	return u.polling.write(ctx, packets...)
}

func (u *upgrading) current() *socket {
	u.switching.RLock()
	defer u.switching.RUnlock()
	return u.socket
}

func (u *upgrading) upgraded() bool { return u.current() != nil }

func (u *upgrading) close() {
	u.polling.close()
	u.probing.Wait()
	if s := u.probed.Load(); s != nil {
		s.close()
	}
}
