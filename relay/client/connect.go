package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"setu/relay/engineio"
	"setu/relay/socketio"
)

// phase is how far the connection has come.
type phase int

const (
	waiting  phase = iota // for retryAt
	dialing               // for the transport
	opening               // for the handshake
	greeting              // for the answer to our CONNECT
	live
)

const (
	connectTimeout = 15 * time.Second // from the dial to the answer to CONNECT
	stableAfter    = 5 * time.Second  // a connection that stood so long has done away with the failures before it
)

var (
	errConnectTimeout = errors.New("client: the relay did not answer in time")
	errSlowLink       = errors.New("client: the connection does not keep up")
	errRelayClosed    = errors.New("client: the relay closed the connection")
	errHeartbeat      = errors.New("client: no ping from the relay")
	errSilent         = errors.New("client: no sign of life from the relay")
)

type dialed struct {
	transport transport
	err       error
}

// connection is the state of the connection at hand, all of it owned by run.
type connection struct {
	phase    phase
	failures int       // in a row
	retryAt  time.Time // while waiting
	deadline time.Time // of dialing, opening and greeting together
	since    time.Time // when it went live

	dialed      chan dialed     // from the dial under way
	dialContext context.Context // the life of the dial, and then of its link
	cancelDial  context.CancelFunc

	link      *link
	handshake engineio.Handshake
	pingBy    time.Time // the relay's next ping is late
	heard     uint64    // frames
	partial   *partial  // whose attachments are to come next; nil: none
	probe     probe
}

// connect begins an attempt.
func (c *Client) connect() {
	c.phase = dialing
	c.deadline = time.Now().Add(connectTimeout)
	c.retryAt = time.Time{}
	out := make(chan dialed)
	ctx, cancel := context.WithCancel(context.Background()) // not of the client's life: it outlives that for a goodbye
	c.dialed, c.dialContext, c.cancelDial = out, ctx, cancel
	c.wg.Go(func() {
		t, err := c.dialer(ctx, c.url)
		select {
		case out <- dialed{t, err}:
		case <-ctx.Done():
			if err == nil {
				t.Close(false)
			}
		}
	})
	c.changed(func(s *State) {
		s.Status, s.Attempt, s.RetryAt, s.RTT = Connecting, c.failures+1, time.Time{}, 0
	})
}

// stopDialing gives up a dial under way, if there is one.
func (c *Client) stopDialing() {
	if c.cancelDial != nil {
		c.cancelDial()
	}
	c.dialed, c.dialContext, c.cancelDial = nil, nil, nil
}

func (c *Client) opened(d dialed) {
	if d.err != nil {
		c.stopDialing()
		c.lost(d.err)
		return
	}
	// The context lives on with the link: some transports end with the one that they were dialled with.
	c.link = c.newLink(d.transport, c.dialContext, c.cancelDial)
	c.dialed, c.dialContext, c.cancelDial = nil, nil, nil
	c.phase = opening
}

// greet answers the handshake with our CONNECT.
func (c *Client) greet(data []byte) {
	h, err := engineio.ParseHandshake(data)
	if err != nil {
		c.broken(err)
		return
	}
	c.handshake = h
	c.pinged()
	auth := struct {
		Name  string `json:"name,omitempty"`
		Key   string `json:"key,omitempty"`
		Token string `json:"token,omitempty"`
	}{c.options.Name, c.options.Key, c.options.Token}
	body, err := json.Marshal(auth)
	if err != nil {
		c.closeFor(err)
		return
	}
	if string(body) == "{}" {
		body = nil
	}
	c.phase = greeting
	c.sendPacket(socketio.Packet{Type: socketio.Connect, Data: body})
}

// greeted: the relay has let us in. Rooms come first, then what waits to be published in them.
func (c *Client) greeted() {
	c.phase = live
	c.since = time.Now()
	c.deadline = time.Time{}
	c.changed(func(s *State) {
		s.Status, s.Attempt, s.RetryAt, s.Err = Connected, 0, time.Time{}, nil
	})
	select {
	case <-c.first:
	default:
		close(c.first)
	}
	c.ping(probeTimeout)
	c.pump()
}

// pinged: the relay's next ping has to come within pingInterval and pingTimeout, as stock clients have it.
func (c *Client) pinged() {
	c.pingBy = time.Now().Add(time.Duration(c.handshake.PingInterval+c.handshake.PingTimeout) * time.Millisecond)
}

// lost ends the connection, or the attempt, and says when the next comes: at a random time up to a bound that doubles,
// so that the clients of a relay that went away don't come back all at once.
func (c *Client) lost(err error) {
	c.stopDialing()
	if c.link != nil {
		c.link.drop()
		c.link = nil
	}
	now := time.Now()
	if c.phase == live && now.Sub(c.since) >= stableAfter {
		c.failures = 0
	}
	c.failures++
	c.phase = waiting
	c.probe, c.partial = probe{}, nil
	clear(c.acks)
	for _, r := range c.order {
		r.lost()
	}
	c.callsLost()
	c.retryAt = now.Add(c.jitter(c.backoff()))
	c.changed(func(s *State) {
		s.Status, s.Attempt, s.RetryAt, s.RTT, s.Err = Waiting, c.failures, c.retryAt, 0, err
	})
}

func (c *Client) backoff() time.Duration {
	bound := c.options.MinBackoff
	for i := 1; i < c.failures && bound < c.options.MaxBackoff; i++ {
		bound *= 2
	}
	return min(bound, c.options.MaxBackoff)
}

// broken: the relay said something that it should not. What it meant is lost, so the connection goes, and the rejoins
// of the next one mend it.
func (c *Client) broken(err error) {
	c.fault(err)
	c.lost(err)
}

// leaveLink says goodbye: the relay need not wait for us to come back.
func (c *Client) leaveLink() {
	if c.link == nil {
		return
	}
	if c.phase == live {
		c.link.send([]byte{byte(engineio.Message), byte(socketio.Disconnect)})
	}
	c.link.leave()
	c.link = nil
}

// sendPacket sends p. A link whose queue is full is given up.
func (c *Client) sendPacket(p socketio.Packet, attachments ...[]byte) {
	head := make([]byte, 1, 1+maxHead+len(p.Data))
	head[0] = byte(engineio.Message)
	data, err := p.Append(head)
	if err != nil { // never: we made the packet
		c.fault(err)
		return
	}
	if c.link != nil && !c.link.send(data, attachments...) {
		c.lost(errSlowLink)
	}
}
