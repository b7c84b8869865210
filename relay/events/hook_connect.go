package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/hook"
	"setu/relay/metrics"
	"setu/relay/namespace"
)

// admit asks the app about a CONNECT, if it wants to be asked, and makes who what the app says. recovering
// says that the client wants to go on with the session of that id. What else the app says is to be applied
// once the client is connected. An error is one of Connect's.
func (c *connection) admit(ctx context.Context, who *identity, auth json.RawMessage, session string, recovering bool) (said, error) {
	if !c.root.hooks.Asks(metrics.HookConnect) {
		return said{}, nil
	}
	c.id = session
	c.Rename(who.user)
	r := c.request(metrics.HookConnect)
	r.Connect = &hook.Connect{Recovering: recovering, Auth: auth, Headers: map[string]string{}, Query: map[string]any{}}
	c.describeOpening(r.Connect)
	reply, err := c.askApp(ctx, r)
	if err == nil && reply.User != nil && !who.become(*reply.User) {
		err = c.root.hooks.Complain(r, errors.New("user: "+badUser))
	}
	var f *fault
	switch {
	case errors.As(err, &f) && f.Code != codeUnavailable:
		return said{}, &namespace.ConnectError{Code: f.Code, Message: f.Message}
	case err != nil:
		return said{}, fmt.Errorf("%w: %w", namespace.ErrComeBack, err)
	}
	if reply.Rights != nil {
		g := *who.grant
		g.Rooms = *reply.Rights
		who.grant, c.app.rights = &g, reply.Rights
	}
	c.app.named = reply.User != nil && reply.User.Name != ""
	c.grant.Store(who.grant)
	if _, revoked := c.root.revoked(who.user.ID, session, who.grant); revoked {
		return said{}, &namespace.ConnectError{Code: codeRevoked, Message: namespace.Revoked}
	}
	reply.Rights = nil // done
	return said{r, reply}, nil
}

const badUser = "id has 1 to 128 bytes, no control characters, and does not begin with ~, name has at most 64 characters"

// become makes who the user that the app says. It reports false if nobody can be that.
func (who *identity) become(u hook.User) bool {
	name := strings.TrimSpace(u.Name)
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return false
	}
	if u.ID != who.user.ID { // a guest may be told apart by its own id
		if _, err := auth.UserID(u.ID); err != nil {
			return false
		}
		who.user, who.keyed, who.named = broker.User{ID: u.ID, Name: u.ID}, true, false
	}
	if name != "" {
		who.user.Name, who.named = name, true
	}
	return true
}

// ownQuery are names of the query that are Engine.IO's own.
var ownQuery = []string{"EIO", "transport", "t", "sid", "j", "b64"}

// describeOpening says what is known of the request that opened the client's session.
func (c *connection) describeOpening(to *hook.Connect) {
	o := c.Opening()
	if o == nil {
		return
	}
	if o.Address.IsValid() {
		to.Address = o.Address.String()
	}
	for name, value := range o.Headers {
		to.Headers[strings.ToLower(name)] = value
	}
	query, _ := url.ParseQuery(o.Query) // what it could read
	for _, name := range ownQuery {
		query.Del(name)
	}
	for name, values := range query {
		if to.Query[name] = values; len(values) == 1 {
			to.Query[name] = values[0]
		}
	}
}

// welcomeFromApp does what the app has answered to a CONNECT, once the client is connected. If that can't be
// done now, the client is to come back.
func (c *connection) welcomeFromApp(ctx context.Context, to said) {
	all := append([]said{to}, c.app.later...)
	c.app.later = nil
	for _, s := range all {
		if err := c.apply(ctx, s.request, s.reply); err != nil {
			c.root.log.Info("sent a client away, to come back: what the app said of it can't be done now", "session", c.id, "error", err)
			c.Close(namespace.ComeBack)
			return
		}
	}
	for _, s := range all {
		c.finish(s.reply)
	}
}

// forgetApp undoes what admit and a session have brought about, which is not gone on with.
func (c *connection) forgetApp(who identity) {
	c.app = app{}
	c.grant.Store(who.grant)
}
