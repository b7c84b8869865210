// Package client is a client of Setu: one that stays. It connects, and connects again with jittered backoff whenever the
// connection is lost; it joins its rooms again with the last offset it saw and delivers what was missed, once and in order; it
// keeps what is published until the relay has stored it, and sends it again under the same id.
//
// It is one program for native builds and for the browser (GOOS=js GOARCH=wasm); only the transport differs.
//
// One goroutine (run) owns all state and never blocks: calls hand it functions, a reader hands it frames, and it hands
// events to the goroutine that calls the Handler.
package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"setu/relay/engineio"
)

// Client is a connection to a relay, and the next one when that is lost. Its methods may be called from any goroutine.
type Client struct {
	// immutable after Open
	url      string
	options  Options
	dialer   dialFunc
	jitter   func(bound time.Duration) time.Duration // random, from 0 to bound
	commands chan func()                             // what calls want done by run
	wake     chan struct{}                           // look at once whether there is a connection; holds one
	events   chan func()                             // to the Handler's goroutine; closed by run
	first    chan struct{}                           // closed at the first CONNECT
	closing  chan struct{}                           // closed by Close
	unlisten func()
	once     sync.Once
	wg       sync.WaitGroup

	life context.Context // of the client: ends with Close, or for good; its cause is what calls then return
	end  context.CancelCauseFunc

	mu    sync.Mutex
	state State // guarded by mu, written by run

	// owned by run
	connection
	rooms   map[string]*room
	order   []*room // the rooms in the order of their joins
	calls   []*call // what waits to be sent or answered, in order
	acks    map[uint64]func(payload)
	lastID  uint64 // of an ack asked for
	backlog []event
	timer   *time.Timer
	armed   time.Time // when timer fires; zero: not set
	final   error     // why the client closed by itself
}

// Open starts a client of the relay at url (https://host, or http, ws, wss, with a port perhaps) and returns at once: it
// connects in the background, for as long as it takes. The error is about url or o. Close ends it.
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

// Dial opens a client and waits until it is connected. It tries until ctx ends or the relay refuses the session
// (*ConnectError); then the client is closed.
func Dial(ctx context.Context, url string, o *Options) (*Client, error) {
	c, err := Open(url, o)
	if err != nil {
		return nil, err
	}
	return c, c.connected(ctx)
}

// connected waits for the first CONNECT, and closes the client where none comes.
func (c *Client) connected(ctx context.Context) error {
	var err error
	select {
	case <-c.first:
		return nil
	case <-c.life.Done():
		err = context.Cause(c.life)
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
	address, err := address(url, options.Path)
	if err != nil {
		return nil, err
	}
	c := &Client{
		url: address, options: options, dialer: dialer,
		jitter:   func(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(max(d, 0)) + 1)) },
		commands: make(chan func()), wake: make(chan struct{}, 1), events: make(chan func()),
		first: make(chan struct{}), closing: make(chan struct{}),
		rooms: map[string]*room{}, acks: map[uint64]func(payload){},
	}
	c.life, c.end = context.WithCancelCause(context.Background())
	return c, nil
}

func (c *Client) start() {
	c.timer = time.NewTimer(time.Hour)
	c.timer.Stop()
	c.unlisten = listen(c.Retry)
	c.wg.Go(c.run)
	c.wg.Go(func() {
		for call := range c.events {
			call()
		}
	})
}

// Close says goodbye to the relay, for at most a second, and waits for all of the client's goroutines, the Handler's too.
// Calls that wait return ErrClosed. The Handler's last call is State, with Closed.
func (c *Client) Close() error {
	c.once.Do(func() { close(c.closing) })
	c.end(ErrClosed)
	c.wg.Wait()
	return nil
}

// State tells how the connection stands.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Retry looks at once whether there is a connection: where the client waits, it connects now, and where it seems to be
// connected, it asks the relay for a sign of life. It does not block.
func (c *Client) Retry() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// do has run call f and waits for it.
func (c *Client) do(f func()) error {
	done := make(chan struct{})
	select {
	case c.commands <- func() { f(); close(done) }:
		<-done
		return nil
	case <-c.life.Done():
		return context.Cause(c.life)
	}
}

func (c *Client) run() {
	c.connect()
	for c.final == nil && c.life.Err() == nil {
		c.arm()
		event := c.nextEvent()
		select {
		case <-c.life.Done():
		case f := <-c.commands:
			f()
		case d := <-c.dialed:
			c.opened(d)
		case f := <-c.incoming():
			c.receive(f)
		case c.handler(event) <- event:
			c.backlog = c.backlog[1:]
		case <-c.wake:
			c.revive()
		case <-c.timer.C:
			c.armed = time.Time{}
			c.expire(time.Now())
		}
	}
	c.finish()
}

// finish ends the connection and all calls, and hands over the last events.
func (c *Client) finish() {
	c.unlisten()
	c.timer.Stop()
	c.changed(func(s *State) {
		*s = State{Status: Closed, Relay: s.Relay, Region: s.Region, User: s.User, Err: c.final}
	})
	if c.final != nil {
		c.end(fmt.Errorf("%w: %w", ErrClosed, c.final))
	}
	c.stopDialing()
	c.leaveLink()
	// After Close only the last state is told; where the relay ended it, all that came before, too.
	for len(c.backlog) > 1 {
		select {
		case <-c.closing:
			c.backlog = c.backlog[len(c.backlog)-1:]
		case c.events <- c.backlog[0].call:
			c.backlog = c.backlog[1:]
		}
	}
	for _, e := range c.backlog {
		c.events <- e.call
	}
	close(c.events)
}

// closeFor ends the client for good: connecting again would not help.
func (c *Client) closeFor(err error) {
	if c.final == nil {
		c.final = err
	}
}

func (c *Client) send(p engineio.Packet) bool {
	return c.link != nil && c.link.send(p.Append(make([]byte, 0, len(p.Data)+1)))
}
