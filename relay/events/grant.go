package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/namespace"
)

// What a client may do, it may by its grant: that of the token that it showed last or, without one,
// what guests may do. It is looked at whenever a request is handled.

// may returns an error that names the first of rights that the client lacks in a room, or says that it may
// not speak for a while. It says nothing of whether there is such a room.
func (c *connection) may(name string, rights ...auth.Rights) error {
	has := c.grant.Load().Rooms.Of(name)
	for _, want := range rights {
		if want&^has != 0 {
			return &fault{Code: codeForbidden, Message: "this takes the right to " + want.String(), Right: want.String()}
		}
		if want&(auth.Publish|auth.Signal) == 0 {
			continue
		}
		if left := c.root.mutes.left(c.User().ID, name); left > 0 {
			return &fault{Code: codeMuted, Message: "you may not speak now", Retry: max(1, left.Milliseconds())}
		}
	}
	return nil
}

// everything is what the rights of a room are that nobody need be told of.
const everything = auth.All &^ auth.Invisible

// rightsText is what the answer to a join says of the client's rights, as JSON: nothing if it may do
// everything but be invisible.
func (c *connection) rightsText(name string) string {
	rights := c.grant.Load().Rooms.Of(name)
	switch rights {
	case everything:
		return ""
	case 0: // the application has put it there
		return "[]"
	}
	return `["` + strings.ReplaceAll(rights.String(), ",", `","`) + `"]`
}

// authorize returns what a token allows or, if it is empty, what guests may do.
func (root *Root) authorize(ctx context.Context, token string) (*auth.Grant, error) {
	if token == "" {
		if root.guests == nil {
			return nil, &fault{Code: codeUnauthorized, Message: "connect with a token"}
		}
		return root.guests, nil
	}
	g, err := root.auth.Verify(ctx, token)
	var refused *auth.Error
	switch {
	case errors.As(err, &refused) && refused.Kind == auth.KindUnavailable:
		return nil, &fault{Code: codeUnavailable, Message: err.Error(), Retry: retryAfter.Milliseconds()}
	case err != nil:
		return nil, &fault{Code: codeUnauthorized, Message: err.Error()}
	}
	return &g, nil
}

// revoked returns the revocation that ends a grant, if there is one.
func (root *Root) revoked(user, session string, g *auth.Grant) (broker.Revocation, bool) {
	return root.store.IsRevoked(user, g.TokenID, session, issued(g))
}

// renewToken takes another token of the client's. It may allow more or less than the one before: rooms
// that it does not allow are left, and returned.
func (c *connection) renewToken(ctx context.Context, token string) (left []string, err error) {
	if token == "" {
		return nil, &fault{Code: codeUnauthorized, Message: "this takes a token"}
	}
	g, err := c.root.authorize(ctx, token)
	if err != nil {
		return nil, err
	}
	if c.tokenUser == "" || g.UserID != c.tokenUser {
		return nil, &fault{Code: codeUnauthorized, Message: "the token is another user's: connect anew with it"}
	}
	if _, revoked := c.root.revoked(c.User().ID, c.id, g); revoked {
		return nil, revokedFault()
	}
	if c.app.rights != nil { // the app's word holds until it is asked again
		g.Rooms = *c.app.rights
	}
	c.grant.Store(g)
	if u := c.User(); g.Name != "" && g.Name != u.Name && !c.app.named {
		u.Name = g.Name
		c.Rename(u)
	}
	c.watchExpiry(g)
	return c.leaveForbidden(), nil
}

// mayStay reports whether somebody with these rights may be in a room as they are there: who may not be
// invisible any more is not shown for that, but leaves.
func mayStay(rights auth.Rights, invisible bool) bool {
	return rights.Has(auth.Join) && (!invisible || rights.Has(auth.Invisible))
}

// leaveForbidden leaves the rooms in which the client may not be any more, and ends what else of them a
// right is missing for.
func (c *connection) leaveForbidden() (left []string) {
	left = []string{}
	for _, name := range append([]string(nil), c.rooms...) {
		rights := c.grant.Load().Rooms.Of(name)
		if !c.isGiven(name) && !mayStay(rights, c.root.hub.IsInvisible(name, c)) {
			c.leave(ended, name)
			left = append(left, name)
		} else if rights&auth.Members == 0 && c.root.hub.IgnorePresence(name, c) {
			c.session.IgnorePresence(name)
		}
	}
	return left
}

// ended is the context of those who don't wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// renew answers the event token, by which a client brings another one of its own accord.
func renew(ctx context.Context, c *connection, e namespace.Event) error {
	token, err := tokenOf(e)
	if err != nil {
		return err
	}
	if wait := c.TakeHandshake(); wait > 0 { // a token may be dear to check
		return rateLimited("tokens from this address", wait)
	}
	left, err := c.renewToken(ctx, token)
	if err != nil {
		return err
	}
	c.ack(e, struct {
		OK      bool     `json:"ok"`
		Expires int64    `json:"expires"`
		Left    []string `json:"left"`
	}{true, c.grant.Load().Expires.UnixMilli(), left})
	return nil
}

// tokenOf returns the token of an event, or of an answer: one object, {token}.
func tokenOf(e namespace.Event) (string, error) {
	var in struct {
		Token *string `json:"token"`
	}
	if len(e.Args) != 1 || e.Args[0][0] != '{' {
		return "", badRequest("token takes one object")
	}
	if err := decode(e.Args[0], &in); err != nil {
		return "", badRequest("token: " + err.Error())
	}
	if in.Token == nil {
		return "", badRequest("token must be there")
	}
	return *in.Token, nil
}

// How long a client has for another token.
const (
	refreshLead = time.Minute      // it is asked before the one it has expires; of a short-lived one earlier than half of its time
	expiryGrace = 25 * time.Second // after it has expired
	reauthGrace = 30 * time.Second // after it was revoked, if the revocation allows another
)

// watchExpiry has the client asked for another token before g expires, and closed if none comes.
func (c *connection) watchExpiry(g *auth.Grant) {
	if g.Expires.IsZero() {
		return
	}
	left := time.Until(g.Expires)
	expired := &fault{Code: codeUnauthorized, Message: namespace.Expired}
	c.setTimer(left-min(refreshLead, left/2), func() { c.requestToken(g, g.Expires.Add(expiryGrace), expired) })
}

// requestToken asks the client for another token than g's, and closes it if it has none by the
// deadline.
func (c *connection) requestToken(g *auth.Grant, deadline time.Time, why *fault) {
	within := time.Until(deadline)
	c.setTimer(within, func() {
		if c.grant.Load() == g {
			c.dismiss(why)
		}
	})
	payload := fmt.Appendf(nil, `["token_expires",{"expires":%d}]`, min(g.Expires.UnixMilli(), deadline.UnixMilli()))
	c.Ask(payload, within, func(answer namespace.Event, err error) {
		if err != nil { // none came in time, or the client is gone
			return
		}
		token, err := tokenOf(answer)
		var left []string
		if err == nil {
			left, err = c.renewToken(context.Background(), token)
		}
		switch {
		case err != nil:
			c.emitError(faultOf(err))
		case len(left) > 0: // an answer has no answer that could say so
			c.tellLeft(left)
		}
	})
}
