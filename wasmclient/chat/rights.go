package chat

import (
	"slices"
	"strings"
)

// Denied is what this user may not do in a room. The zero value denies nothing.
type Denied struct {
	Publish, Signal, History, Members bool

	// Join states that they may not be in the room at all.
	Join bool
}

// DeniedBy returns what a list of rights lacks. A nil list is that of somebody who may do everything.
func DeniedBy(rights []string) Denied {
	if rights == nil {
		return Denied{}
	}
	lacks := func(right string) bool { return !slices.Contains(rights, right) }
	return Denied{Publish: lacks("publish"), Signal: lacks("signal"), History: lacks("history"), Members: lacks("members")}
}

// Deny notes that the relay has refused something for want of a right.
func (d *Denied) Deny(right string) {
	switch right {
	case "join":
		d.Join = true
	case "publish":
		d.Publish = true
	case "signal":
		d.Signal = true
	case "history":
		d.History = true
	case "members":
		d.Members = true
	}
}

// MayWrite reports whether this user may write in the room, as far as is known.
func (r *Room) MayWrite() bool { return !r.Denied.Join && !r.Denied.Publish }

// HasPicture reports whether a picture goes with the message that is being written, or is being prepared for it.
func (r *Room) HasPicture() bool { return r.Edit == nil && (r.Attached != nil || r.Preparing) }

// Refused reports whether the relay refuses to let this user in, and is not asked again.
func (r *Room) Refused() bool { return r.Refusal != "" && !r.Retried }

// Retrying reports whether the relay refuses to let this user in for the moment.
func (r *Room) Retrying() bool { return r.Refusal != "" && r.Retried }

// Notice returns the sentence that stands above the composer when one may not write, or is not in the room;
// else "".
func (r *Room) Notice() string {
	switch {
	case r.Denied.Join && r.Entered:
		return "You may no longer be in this room."
	case r.Denied.Join:
		return "You may not enter this room."
	case r.Denied.Publish:
		return "You may read here, but not write."
	case r.Refused():
		return "You are not in this room. The relay says: " + r.Refusal + "."
	case r.Retrying():
		return "The relay can’t let you in now: " + r.Refusal + ". It is asked again; what you write is kept."
	}
	return ""
}

// SignIn is how this user stands with the relay.
type SignIn uint8

const (
	SignedIn      SignIn = iota // or a guest, where there may be any
	SignInEnding                // the token is about to expire
	SignInNeeded                // there may be no guests
	SignInExpired               // the relay does not take the token any more
	SignInRevoked
)

// Sentence returns what the page says about s, or "".
func (s SignIn) Sentence() string {
	return [...]string{
		"",
		"Your sign-in ends in a moment. Sign in again to stay.",
		"You need to sign in to talk here.",
		"Your sign-in has ended. What you write is kept, and sent when you have signed in again.",
		"Your access was revoked. What you wrote is kept on this device.",
	}[s]
}

// MaxToken is the greatest length of a token that the relay takes, in bytes.
const MaxToken = 8192

// OriginAllowed reports whether a site is one of a list, in which https://*.example.com stands for all
// subdomains of example.com.
func OriginAllowed(origin string, list []string) bool {
	origin = withoutPort(origin)
	return slices.ContainsFunc(list, func(allowed string) bool {
		allowed = withoutPort(allowed)
		head, tail, wild := strings.Cut(allowed, "://*.")
		if !wild {
			return origin == allowed && origin != ""
		}
		host, ok := strings.CutPrefix(origin, head+"://")
		sub, found := strings.CutSuffix(host, "."+tail)
		return ok && found && sub != ""
	})
}

// withoutPort removes the default port of an origin's scheme, as browsers do.
func withoutPort(origin string) string {
	if strings.HasPrefix(origin, "https:") {
		return strings.TrimSuffix(origin, ":443")
	}
	return strings.TrimSuffix(origin, ":80")
}
