// Package client is a client of Setu that recovers by itself. It connects, and reconnects with
// jittered backoff whenever the connection is lost. After that it rejoins its rooms with the last
// offset that it saw and delivers the messages missed, once and in order. It keeps each publish
// until the relay has stored it, and sends it again under the same id.
//
// Native builds and the browser (GOOS=js GOARCH=wasm) share everything but the transport.
//
// One goroutine (run) owns all state and never blocks: API calls pass it functions, a reader passes
// it frames, and it passes events to the goroutine that calls the Handler.
package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"setu/relay/engineio"
)

// Client keeps a connection to a relay, making a new one whenever it is lost. Its methods may be
// called from any goroutine.
type Client struct {
	// immutable after Open
	url            string
	options        Options // except Name, which run changes with onRenamed
	dialer         dialFunc
	jitter         func(bound time.Duration) time.Duration // random, from 0 to bound
	commands       chan func()                             // functions that run is to call
	checkRequested chan struct{}                           // by Retry; capacity 1
	events         chan func()                             // for the Handler; closed by cleanUp
	firstConnect   chan struct{}                           // closed when first connected
	closing        chan struct{}                           // closed by Close
	stopListening  func()
	closeOnce      sync.Once
	wg             sync.WaitGroup

	// the client's lifetime, which Close ends, or a refusal by the relay; calls return its cause
	ctx    context.Context
	cancel context.CancelCauseFunc

	// guarded by mu; only run writes, and reads without it
	mu    sync.Mutex
	state State

	// owned by run
	connection
	rooms     map[string]*room
	order     []*room // the values of rooms, in the order of their joins
	calls     []*call // not answered yet, in the order in which they were made
	acks      map[uint64]func(payload)
	lastAckID uint64 // the last ack id used
	backlog   []event
	timer     *time.Timer
	timerAt   time.Time // when timer fires; zero: stopped
	closeErr  error     // why the client closed without Close; nil: it did not
}

// Open starts a client of the relay at url, which is a scheme (https, http, wss or ws), a host and
// perhaps a port. It returns at once: the client connects in the background and tries for as long
// as it takes. The error is about url or o; nil options are the zero Options. The caller must call
// Close.
func Open(url string, o *Options) (*Client, error) {
	options := o.withDefaults()
	c, err := newClient(url, options, func(ctx context.Context, url string) (transport, error) {
		return dial(ctx, url, options.Native)
	})
	if err != nil {
		return nil, err
	}
	c.start()
	return c, nil
}

// Dial opens a client and waits until it is connected. It tries until ctx ends (the error wraps
// ctx's) or the relay refuses the session (*ConnectError); then the client is closed.
func Dial(ctx context.Context, url string, o *Options) (*Client, error) {
	c, err := Open(url, o)
	if err != nil {
		return nil, err
	}
	return c, c.waitConnected(ctx)
}

// waitConnected waits for the first CONNECT that succeeds, and closes the client if there is none.
func (c *Client) waitConnected(ctx context.Context) error {
	var err error
	select {
	case <-c.firstConnect:
		return nil
	case <-c.ctx.Done():
		err = context.Cause(c.ctx)
	case <-ctx.Done():
		err = ctx.Err()
		if last := c.State().Err; last != nil {
			err = fmt.Errorf("%w; the last attempt: %w", err, last)
		}
	}
	_ = c.Close()
	return err
}

func newClient(url string, options Options, dialer dialFunc) (*Client, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	address, err := address(url, options.Path, options.Region)
	if err != nil {
		return nil, err
	}
	c := &Client{
		url: address, options: options, dialer: dialer,
		jitter:   func(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(max(d, 0)) + 1)) },
		commands: make(chan func()), checkRequested: make(chan struct{}, 1), events: make(chan func()),
		firstConnect: make(chan struct{}), closing: make(chan struct{}),
		rooms: map[string]*room{}, acks: map[uint64]func(payload){},
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c, nil
}

func (c *Client) start() {
	c.timer = time.NewTimer(time.Hour)
	c.timer.Stop()
	c.stopListening = listen(c.Retry)
	c.wg.Go(c.run)
	c.wg.Go(func() {
		for call := range c.events {
			call()
		}
	})
}

// Close ends the session with the relay, for at most a second, and waits for all of the client's
// goroutines, including the Handler's. Calls in progress return ErrClosed. The Handler's last call
// is State, with Closed. The error is always nil, and Close may be called again.
func (c *Client) Close() error {
	c.closeOnce.Do(func() { close(c.closing) })
	c.cancel(ErrClosed)
	c.wg.Wait()
	return nil
}

// State returns the state of the connection.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Retry checks the connection at once: a client that waits before its next attempt connects now,
// and one that seems connected drops the connection unless the relay sends something within 5
// seconds. It does not block.
func (c *Client) Retry() {
	select {
	case c.checkRequested <- struct{}{}:
	default:
	}
}

// do has run call f, and waits until it has returned.
func (c *Client) do(f func()) error {
	done := make(chan struct{})
	select {
	case c.commands <- func() { f(); close(done) }:
		<-done
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *Client) run() {
	c.connect()
	for c.closeErr == nil && c.ctx.Err() == nil {
		c.setTimer()
		event := c.nextEvent()
		select {
		case <-c.ctx.Done():
		case f := <-c.commands:
			f()
		case d := <-c.dialDone:
			c.onDialed(d)
		case f := <-c.frames():
			c.receive(f)
		case c.handlerQueue(event) <- event:
			c.dropEvent()
		case <-c.checkRequested:
			c.checkNow()
		case <-c.timer.C:
			c.timerAt = time.Time{}
			c.expire(time.Now())
		}
	}
	c.cleanUp()
}

// cleanUp ends the connection and all calls, and passes on the last events.
func (c *Client) cleanUp() {
	c.stopListening()
	c.timer.Stop()
	c.updateState(func(s *State) {
		*s = State{Status: Closed, Relay: s.Relay, Region: s.Region, User: s.User, Err: c.closeErr}
	})
	if c.closeErr != nil {
		c.cancel(fmt.Errorf("%w: %w", ErrClosed, c.closeErr))
	}
	c.stopDialing()
	c.stopFetching()
	c.closeLink()
	// After Close the Handler gets the last state alone; if the relay ended the session, it gets
	// all that came before as well.
	for len(c.backlog) > 1 {
		select {
		case <-c.closing:
			c.backlog = c.backlog[len(c.backlog)-1:]
		case c.events <- c.backlog[0].call:
			c.dropEvent()
		}
	}
	for _, e := range c.backlog {
		c.events <- e.call
	}
	close(c.events)
}

// closeWith ends the client: connecting again would not help.
func (c *Client) closeWith(err error) {
	if c.closeErr == nil {
		c.closeErr = err
	}
}

// send queues a packet of Engine.IO's own. It reports false if there is no link or its queue is
// full.
func (c *Client) send(p engineio.Packet) bool {
	return c.link != nil && c.link.send(p.Append(make([]byte, 0, len(p.Data)+1)))
}
