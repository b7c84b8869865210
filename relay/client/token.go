package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"setu/relay/socketio"
)

// Bounds of bringing tokens.
const (
	maxRefusals     = 3                // fresh tokens shown in a row after a relay has refused one
	maxTokenBackoff = 10 * time.Second // between attempts to renew a token
)

// TokenError is passed to Handler.Error if Options.FetchToken failed, or the relay did not take what
// it brought in place of a token that is about to expire. The client tries again by itself.
type TokenError struct{ Err error }

func (e *TokenError) Error() string { return fmt.Sprintf("token: %v", e.Err) }

func (e *TokenError) Unwrap() error { return e.Err }

// Renewed reports that the relay has taken another token on this connection. Left are the rooms in
// which that token does not allow to be: the relay has taken the client out of them, and it does not
// try to get in again.
type Renewed struct {
	Expires int64    `json:"expires"` // ms since 1970 by the relay's clock
	Left    []string `json:"left"`
}

// renewal is the relay's question for another token. All of it is owned by run.
type renewal struct {
	wanted   bool
	ack      *uint64 // that answers the question; nil: it has been answered, or wants no answer
	failures int
	retryAt  time.Time // when to try again; zero: an attempt is under way
}

// SetToken shows the relay another token of the same user at once, and waits for its answer. Without
// a connection it returns at once, and the next attempt to connect, which begins now, shows the token
// unless Options.FetchToken brings another. An *Error is the relay's refusal: the token that it knew
// is still good for as long as it was.
func (c *Client) SetToken(ctx context.Context, token string) (Renewed, error) {
	var out Renewed
	if !validToken(token) {
		return out, errToken
	}
	var q *call
	err := c.do(func() {
		c.options.Token = token
		switch c.phase {
		case phaseConnected:
			q = c.showToken(token, func(r Renewed, _ error) { out = r })
		case phaseWaiting:
			c.connect()
		}
	})
	if err != nil || q == nil {
		return Renewed{}, err
	}
	select {
	case r := <-q.done:
		if r.err == nil && r.data != nil {
			r.err = answer(r.payload, nil)
		}
		return out, r.err
	case <-ctx.Done():
		return Renewed{}, ctx.Err()
	case <-c.ctx.Done():
		return Renewed{}, context.Cause(c.ctx)
	}
}

type tokenRequest struct {
	Token string `json:"token"`
}

// showToken sends the event token, and has run call shown with the answer. If the connection is lost
// first, the next CONNECT shows a token instead.
func (c *Client) showToken(token string, shown func(Renewed, error)) *call {
	q := newCall("token", "", eventBody("token", tokenRequest{token}))
	q.dropOnDisconnect = true
	q.finished = func(r result) {
		if r.err == nil && r.data == nil {
			return // the connection is lost
		}
		var taken Renewed
		err := r.err
		if err == nil {
			err = answer(r.payload, &taken)
		}
		if err == nil {
			c.onRenewed(taken)
		}
		shown(taken, err)
	}
	c.enqueue(q)
	return q
}

// onRenewed leaves the rooms that the relay has taken the client out of.
func (c *Client) onRenewed(r Renewed) {
	c.renewal = renewal{}
	c.dropRooms(r.Left)
	if h := c.options.Handler.Renewed; h != nil {
		c.emit(func() { h(r) })
	}
}

// dropRooms forgets rooms that the relay has taken the client out of. Joins that wait go on: the
// relay answers each.
func (c *Client) dropRooms(names []string) {
	for _, name := range names {
		r := c.rooms[name]
		if r == nil {
			continue
		}
		r.joined, r.keepJoined = false, false
		if r.unwanted() {
			c.forgetRoom(r)
		}
	}
}

// fetchToken has Options.FetchToken bring a token and run call take with it, unless the connection
// has ended by then.
func (c *Client) fetchToken(take func(token string, err error)) {
	c.stopFetching()
	ctx, cancel := context.WithCancel(c.ctx)
	c.cancelFetch = cancel
	c.wg.Go(func() {
		token, err := c.options.FetchToken(ctx)
		if err == nil && !validToken(token) {
			err = errToken
		}
		select {
		case c.commands <- func() {
			if ctx.Err() == nil {
				c.stopFetching()
				take(token, err)
			}
		}:
		case <-ctx.Done():
		}
	})
}

// stopFetching ends the call of FetchToken that is under way, if any.
func (c *Client) stopFetching() {
	if c.cancelFetch != nil {
		c.cancelFetch()
		c.cancelFetch = nil
	}
}

// connectWithToken sends CONNECT, with a token that FetchToken has brought if there is one.
func (c *Client) connectWithToken() {
	if c.options.FetchToken == nil {
		c.sendConnect(c.options.Token)
		return
	}
	c.phase = phaseToken
	c.fetchToken(func(token string, err error) {
		if err != nil {
			err = &TokenError{err}
			c.reportError(err)
			if errors.Is(err, ErrNoToken) {
				c.closeWith(err)
				return
			}
			c.onDisconnect(err)
			return
		}
		c.sendConnect(token)
	})
}

// onRefused handles the relay's refusal of the session. It is final, unless a fresh token may help or it
// only came too soon.
func (c *Client) onRefused(e *ConnectError) {
	if e.Code == codeRateLimited {
		c.onDisconnect(e)
		return
	}
	if e.Code != codeUnauthorized || c.options.FetchToken == nil || !c.showedToken || c.refusals >= maxRefusals {
		c.closeWith(e)
		return
	}
	c.refusals++
	c.onDisconnect(e)
}

// onTokenExpires is called when the relay asks for another token, by an ack if that is not nil. The
// relay closes the connection if none comes in time, so until then FetchToken is called again when it
// fails.
func (c *Client) onTokenExpires(ack *uint64) {
	if c.options.FetchToken == nil {
		return
	}
	c.renewal = renewal{wanted: true, ack: ack}
	c.renewToken()
}

func (c *Client) renewToken() {
	c.renewal.retryAt = time.Time{}
	c.fetchToken(func(token string, err error) {
		if err == nil && token == "" {
			err = ErrNoToken
		}
		if err != nil {
			c.onRenewalFailed(err)
			return
		}
		// The ack has no answer, so the event goes first: its answer says whether the relay takes the
		// token, and which rooms are left. The ack then ends the question.
		ack := c.renewal.ack
		c.renewal.ack = nil
		c.showToken(token, func(_ Renewed, err error) {
			if err != nil {
				c.onRenewalFailed(err)
			}
		})
		if ack != nil {
			data, _ := json.Marshal([]tokenRequest{{token}}) // a string
			c.sendPacket(socketio.Packet{Type: socketio.Ack, ID: *ack, HasID: true, Data: data})
		}
	})
}

func (c *Client) onRenewalFailed(err error) {
	if !c.renewal.wanted {
		return // SetToken has brought one meanwhile
	}
	c.reportError(&TokenError{err})
	if errors.Is(err, ErrNoToken) {
		return // until SetToken brings one, or the relay ends the connection
	}
	wait := min(time.Second<<min(c.renewal.failures, 10), maxTokenBackoff)
	c.renewal.failures++
	c.renewal.retryAt = time.Now().Add(wait - c.jitter(wait/4))
}
