package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"setu/relay/engineio"
	"setu/relay/socketio"
)

// phase is the stage that the connection has reached.
type phase int

const (
	phaseWaiting   phase = iota // until retryAt, before the next attempt
	phaseDialing                // until the transport is open
	phaseHandshake              // until Engine.IO's Open packet
	phaseToken                  // until FetchToken has brought a token
	phaseConnect                // until the answer to our CONNECT
	phaseConnected
)

const (
	connectTimeout = 15 * time.Second // from the dial to the answer to CONNECT
	stableAfter    = 5 * time.Second  // a connection of this age resets the count of failures
)

var (
	errConnectTimeout = errors.New("client: the relay did not answer in time")
	errSlowLink       = errors.New("client: the connection does not keep up")
	errRelayClosed    = errors.New("client: the relay closed the connection")
	errHeartbeat      = errors.New("client: no ping from the relay")
	errNoResponse     = errors.New("client: no sign of life from the relay")
)

// dialResult is the outcome of a dial: one of the two is nil.
type dialResult struct {
	transport transport
	err       error
}

// connection is the state of the current connection or attempt. All of it is owned by run.
type connection struct {
	phase           phase
	failures        int       // consecutive ones
	retryAt         time.Time // of the next attempt; zero unless waiting
	connectDeadline time.Time // of the attempt, from the dial to the answer to CONNECT
	connectedAt     time.Time // when CONNECT was answered
	welcomed        bool      // the relay has said which rooms are left: the others may be rejoined
	asked           []uint64  // what would be the ack ids of the joins that our CONNECT asked for, in order

	dialDone   chan dialResult // from the dial in progress; nil: none
	dialCtx    context.Context // the lifetime of the dial, and then of its link
	cancelDial context.CancelFunc

	link           *link
	handshake      engineio.Handshake
	pingDeadline   time.Time         // by which the relay's next ping must come
	framesReceived uint64            // on all connections
	incomplete     *incompletePacket // whose attachments come next; nil: none
	probe          probe
	rtts           rtts

	cancelFetch context.CancelFunc // of the FetchToken under way; nil: none
	showedToken bool               // with the latest CONNECT
	refusals    int                // of tokens, in a row
	renewal     renewal
	fault       *Error // why the relay is about to end the connection, as it said; nil: it did not
}

// connect starts an attempt to connect.
func (c *Client) connect() {
	c.phase = phaseDialing
	c.connectDeadline = time.Now().Add(connectTimeout)
	c.retryAt = time.Time{}
	out := make(chan dialResult)
	// Not derived from c.ctx: the link outlives that to close gracefully.
	ctx, cancel := context.WithCancel(context.Background())
	c.dialDone, c.dialCtx, c.cancelDial = out, ctx, cancel
	c.wg.Go(func() {
		t, err := c.dialer(ctx, c.url)
		select {
		case out <- dialResult{t, err}:
		case <-ctx.Done():
			if err == nil {
				t.Close(false)
			}
		}
	})
	c.updateState(func(s *State) {
		s.Status, s.Attempt, s.RetryAt, s.RTT, s.Store = Connecting, c.failures+1, time.Time{}, 0, 0
	})
}

// stopDialing cancels the dial in progress, if any.
func (c *Client) stopDialing() {
	if c.cancelDial != nil {
		c.cancelDial()
	}
	c.dialDone, c.dialCtx, c.cancelDial = nil, nil, nil
}

// onDialed takes the outcome of a dial.
func (c *Client) onDialed(d dialResult) {
	if d.err != nil {
		c.stopDialing()
		c.onDisconnect(d.err)
		return
	}
	// The link takes over the context: some transports end with the one that they were dialed with.
	c.link = c.newLink(d.transport, c.dialCtx, c.cancelDial)
	c.dialDone, c.dialCtx, c.cancelDial = nil, nil, nil
	c.phase = phaseHandshake
}

// onOpen takes the data of Engine.IO's Open packet, and sends CONNECT as soon as there is a token for
// it.
func (c *Client) onOpen(data []byte) {
	h, err := engineio.ParseHandshake(data)
	if err != nil {
		c.onProtocolError(err)
		return
	}
	c.handshake = h
	c.resetPingDeadline()
	c.connectWithToken()
}

func (c *Client) sendConnect(token string) {
	auth := struct {
		Name  string `json:"name,omitempty"`
		Key   string `json:"key,omitempty"`
		Token string `json:"token,omitempty"`

		Compact bool `json:"compact"` // messages come without what follows from the rest of them
		Objects bool `json:"objects"` // named events come as messages and signals
		Places  bool `json:"places"`  // presence tells of those who are at other places, too

		Rooms []joinRequest `json:"rooms,omitempty"`
	}{c.options.Name, c.options.Key, token, true, true, true, c.roomsOfConnect()}
	body, err := json.Marshal(auth)
	if err != nil {
		c.closeWith(err)
		return
	}
	c.phase, c.showedToken = phaseConnect, token != ""
	c.sendPacket(socketio.Packet{Type: socketio.Connect, Data: body})
}

// onConnect starts the session that the relay has accepted. New joins are sent first, and rejoins
// with the relay's welcome, then what waits to be published in the rooms.
func (c *Client) onConnect() {
	c.phase = phaseConnected
	c.connectedAt = time.Now()
	c.connectDeadline = time.Time{}
	c.refusals = 0
	c.updateState(func(s *State) {
		s.Status, s.Attempt, s.RetryAt, s.Err = Connected, 0, time.Time{}, nil
	})
	select {
	case <-c.firstConnect:
	default:
		close(c.firstConnect)
	}
	c.sendProbe(probeTimeout)
	c.sendReady()
}

// resetPingDeadline gives the relay pingInterval plus pingTimeout to send its next ping, as the
// stock clients do.
func (c *Client) resetPingDeadline() {
	c.pingDeadline = time.Now().Add(time.Duration(c.handshake.PingInterval+c.handshake.PingTimeout) * time.Millisecond)
}

// onDisconnect ends the connection or the attempt, and schedules the next one. It comes after a
// random time up to a bound that doubles with each failure, so that the clients of a relay that has
// died don't all come back at once.
func (c *Client) onDisconnect(err error) {
	c.stopDialing()
	if c.link != nil {
		c.link.abort()
		c.link = nil
	}
	now := time.Now()
	if c.phase == phaseConnected && now.Sub(c.connectedAt) >= stableAfter {
		c.failures = 0
	}
	c.failures++
	c.phase = phaseWaiting
	c.probe, c.rtts, c.incomplete, c.welcomed, c.asked = probe{}, nil, nil, false, nil
	c.stopFetching()
	c.renewal, c.fault = renewal{}, nil
	clear(c.acks)
	for _, r := range c.order {
		r.onDisconnect()
	}
	c.requeueCalls()
	c.retryAt = now.Add(c.jitter(c.backoff()))
	c.updateState(func(s *State) {
		s.Status, s.Attempt, s.RetryAt, s.RTT, s.Err = Waiting, c.failures, c.retryAt, 0, err
	})
}

// backoff returns the bound of the wait after the failures so far.
func (c *Client) backoff() time.Duration {
	bound := c.options.MinBackoff
	for i := 1; i < c.failures && bound < c.options.MaxBackoff; i++ {
		bound *= 2
	}
	return min(bound, c.options.MaxBackoff)
}

// onProtocolError drops the connection because of a packet that the relay should not have sent.
// What it meant is lost; the rejoins on the next connection recover it.
func (c *Client) onProtocolError(err error) {
	c.reportError(err)
	c.onDisconnect(err)
}

// closeLink ends the connection gracefully, with a DISCONNECT, so that the relay does not wait for
// us to come back.
func (c *Client) closeLink() {
	if c.link == nil {
		return
	}
	if c.phase == phaseConnected {
		c.link.send([]byte{byte(engineio.Message), byte(socketio.Disconnect)})
	}
	c.link.closeGracefully()
	c.link = nil
}

// sendPacket sends p and its attachments. If the link's queue is full, the connection is given up.
func (c *Client) sendPacket(p socketio.Packet, attachments ...[]byte) {
	head := make([]byte, 1, 1+maxEventHeader+len(p.Data))
	head[0] = byte(engineio.Message)
	data, err := p.Append(head)
	if err != nil { // cannot happen: the packet is our own
		c.reportError(err)
		return
	}
	if c.link != nil && !c.link.send(data, attachments...) {
		c.onDisconnect(errSlowLink)
	}
}
