//go:build js && wasm

package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"syscall/js"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// signIn is who this user is to the relay: the bearer of a token, or a guest if there is none. It is
// guarded by app.mu.
type signIn struct {
	required  bool   // nobody is a guest here
	token     string // the latest one that came; empty: none
	shown     string // the one that was last shown to the relay
	came      chan struct{}
	status    chat.SignIn
	embedders []string // sites that may embed the page and bring tokens
	embedded  bool     // the page is in a frame of one of them, as far as the browser lets it be
}

// parentTimeout is how long the page around this one may take to bring a token, before this one says
// that it needs one.
const parentTimeout = 3 * time.Second

// tokenStale reports whether the relay wants another token than the last one that it was shown.
func tokenStale(s client.State) bool {
	var refused *client.ConnectError
	var fault *client.Error
	switch {
	case s.Status == client.Connected: // it asks because the token is about to expire
		return true
	case errors.As(s.Err, &refused):
		return refused.Code == "unauthorized"
	case errors.As(s.Err, &fault):
		return fault.Code == "unauthorized"
	}
	return false
}

// fetchToken returns the token to show to the relay, "" for a guest. If that has been shown already
// and is good no more, it waits for another one from the page around this one.
func (a *app) fetchToken(ctx context.Context, c *client.Client) (string, error) {
	for asked := false; ; asked = true {
		var token string
		var came chan struct{}
		var embedded, fresh bool
		a.withLock(func() {
			s := &a.signIn
			token, came, embedded = s.token, s.came, s.embedded
			fresh = token != s.shown || token == "" || c == nil || !tokenStale(c.State())
			switch {
			case fresh:
				s.shown = token
			case !embedded:
				a.setSignIn(statusWithout(c))
			case !asked:
				a.askParent("setu.token_expires")
			}
		})
		switch {
		case fresh:
			return token, nil
		case !embedded:
			return "", client.ErrNoToken
		}
		if err := a.awaitToken(ctx, came, c); err != nil {
			return "", err
		}
	}
}

// statusWithout returns how one stands without another token.
func statusWithout(c *client.Client) chat.SignIn {
	if c.State().Status == client.Connected {
		return chat.SignInEnding
	}
	return chat.SignInExpired
}

// awaitToken waits for another token, and says after a while that one is needed.
func (a *app) awaitToken(ctx context.Context, came chan struct{}, c *client.Client) error {
	late := time.NewTimer(parentTimeout)
	defer late.Stop()
	for {
		select {
		case <-came:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			a.withLock(func() { a.setSignIn(statusWithout(c)) })
		}
	}
}

// setSignIn shows how this user stands with the relay.
func (a *app) setSignIn(s chat.SignIn) {
	if a.signIn.status != s {
		a.signIn.status = s
		a.announce(s.Sentence())
		a.invalidate(partComposer | partPill | partList)
	}
}

// onToken takes a token: from the address, the field, or the page around this one. It is kept for
// this tab alone.
func (a *app) onToken(token string) {
	if token == "" || len(token) > chat.MaxToken {
		return
	}
	tryJS(func() { window.Get("sessionStorage").Call("setItem", "setu.token", token) })
	if a.client != nil && chat.Owner(token) != a.owner() {
		a.changeUser()
		return
	}
	s := &a.signIn
	s.token = token
	close(s.came)
	s.came = make(chan struct{})
	a.setSignIn(chat.SignedIn)
	if dialog := byID("name-dialog"); dialog.Get("open").Bool() {
		dialog.Call("close")
	}
	c := a.client
	if c == nil || a.pill.Status == chat.Closed {
		a.connect()
		return
	}
	s.shown = token
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		_, err := c.SetToken(ctx, token)
		var refused *client.Error
		if errors.As(err, &refused) { // it may be another user's
			a.withLock(func() {
				if c == a.client {
					a.connect()
				}
			})
		}
	})
}

// owner returns whose messages this user's are, as they are stored.
func (a *app) owner() string { return chat.Owner(a.signIn.token) }

// changeUser starts the page anew for another user: what stands on it is said to be the former one's
// own. Their messages that were not sent stay stored, for when they are back, and the next page says
// so.
func (a *app) changeUser() {
	a.replaced = true
	a.saveDraft()
	unsent := 0
	for _, r := range a.rooms.All {
		unsent += r.Timeline.Unsent()
	}
	tryJS(func() { window.Get("sessionStorage").Call("setItem", itemUnsent, unsent) })
	window.Get("location").Call("reload")
}

// tellUnsent says how many messages the user before this one has not sent, if they have just changed.
func (a *app) tellUnsent() {
	tryJS(func() {
		session := window.Get("sessionStorage")
		n, _ := strconv.Atoi(session.Call("getItem", itemUnsent).String())
		session.Call("removeItem", itemUnsent)
		if n > 0 {
			a.toast(chat.KeptUnsent(n))
		}
	})
}

// onEnded notes what the end of the client says about this user.
func (a *app) onEnded(err error) {
	var refused *client.ConnectError
	var fault *client.Error
	code := ""
	switch {
	case errors.As(err, &refused):
		code = refused.Code
	case errors.As(err, &fault):
		code = fault.Code
	case errors.Is(err, client.ErrNoToken):
		code = "unauthorized"
	}
	switch {
	case code == "revoked":
		a.setSignIn(chat.SignInRevoked)
	case code != "unauthorized":
	default:
		a.needToken()
	}
}

// needToken says that it takes a token, or another one, and asks the page around this one for it.
func (a *app) needToken() {
	if a.signIn.token == "" {
		a.setSignIn(chat.SignInNeeded)
	} else {
		a.setSignIn(chat.SignInExpired)
	}
	if a.signIn.embedded {
		a.askParent("setu.token_expires")
	}
}

// onRenewed notes what another token allows. Rooms where something was denied are asked again.
func (a *app) onRenewed(renewed client.Renewed) {
	a.setSignIn(chat.SignedIn)
	for _, r := range a.rooms.All {
		if r.Denied != (chat.Denied{}) && !slices.Contains(renewed.Left, r.Name) {
			a.join(r)
		}
	}
	a.denyLeft(renewed.Left)
	a.invalidate(partAll)
}

// denyLeft notes the rooms in which this user may not be any more, and out of which the relay has
// taken them.
func (a *app) denyLeft(rooms []string) {
	for _, name := range rooms {
		if r := a.rooms.Find(name); r != nil {
			a.deny(r, "join")
		}
	}
}

// deny notes a right that this user lacks in a room.
func (a *app) deny(r *chat.Room, right string) {
	if r.Denied.Deny(right); r.Denied.Join || r.Denied.History {
		a.hideScreen(r)
	}
	a.invalidate(partAll)
}

// embed asks the page around this one for a token, if the relay lets that embed this one, and calls
// then when it has had its time.
func (a *app) embed(then func()) {
	a.goGuarded(func() {
		var list js.Value
		response, ok := await(window.Call("fetch", "/embed.json"))
		if ok {
			list, ok = await(response.Call("json"))
		}
		var came chan struct{}
		a.withLock(func() {
			if ok {
				a.signIn.embedders = stringsOf(list.Get("origins"))
			}
			came = a.signIn.came
			if len(a.signIn.embedders) > 0 {
				a.signIn.embedded = true
				a.askParent("setu.ready")
			}
			ok = a.signIn.embedded && a.signIn.token == ""
		})
		if ok {
			late := time.NewTimer(parentTimeout)
			defer late.Stop()
			select {
			case <-came:
			case <-late.C:
			}
		}
		a.withLock(then)
	})
}

// askParent tells the page around this one what it may answer. It says nothing that is secret, so it
// says it to whoever that is.
func (a *app) askParent(kind string) {
	window.Get("parent").Call("postMessage", map[string]any{"type": kind}, "*")
}

// onParentMessage takes a token from the page around this one, and from nobody else.
func (a *app) onParentMessage(event js.Value) {
	if !event.Get("source").Equal(window.Get("parent")) || !chat.OriginAllowed(event.Get("origin").String(), a.signIn.embedders) {
		return
	}
	data := event.Get("data")
	if data.Type() != js.TypeObject {
		return
	}
	kind, token := data.Get("type"), data.Get("token")
	if kind.Type() == js.TypeString && kind.String() == "setu.token" && token.Type() == js.TypeString {
		a.onToken(token.String())
	}
}

// isFramed reports whether the page is in a frame.
func isFramed() bool { return !window.Get("parent").Equal(window.Get("self")) }

// takeAddressToken returns the token that the loader has taken out of the address, or that an earlier
// page of this tab has kept.
func takeAddressToken() string {
	if v := window.Get("setuToken"); v.Type() == js.TypeString {
		return v.String()
	}
	return ""
}
