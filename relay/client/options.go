package client

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Options configures a Client: who it is, and how long it tries. The zero value is a guest whose
// name the relay makes up.
type Options struct {
	Name   string // a guest's name; empty: the relay makes one up
	Key    string // a guest's secret of 16 to 64 characters, for a lasting public id; empty: none
	Token  string // of a user who is not a guest; Name and Key are then ignored
	Region string // where to be served: a relay that is elsewhere brings the client there, if it can; empty: anywhere
	Path   string // where the relay serves Socket.IO; empty: "/socket.io/"

	// FetchToken brings a token, in place of Token: for each attempt to connect, and whenever the one
	// in use is about to expire. An empty one stands for none, with which one connects as a guest. It
	// is called from a goroutine of its own, and must return soon after ctx ends, which it does when
	// the attempt, of 15 seconds in all, or the connection is given up. If it fails, it is called
	// again later, unless the error is ErrNoToken: then an attempt to connect ends the client, and a
	// connection lasts for as long as its token. A token that the relay refuses ends the client after
	// 3 others.
	FetchToken func(ctx context.Context) (string, error)

	MinBackoff time.Duration // bound of the first random wait, doubled by each failure; 0: 500 ms
	MaxBackoff time.Duration // bound of every wait; 0: 10 s

	PublishTimeout time.Duration // how long a publish is tried, counted from its call; 0: 60 s
	MaxPending     int           // calls that may be unanswered, publishes included; 0: 256

	Handler Handler
	Native  Native // settings that native builds and the browser do not share
}

// Handler receives events. Its functions are called from one goroutine, one at a time, in order;
// nil ones are skipped. A function that blocks holds up what follows: at 1,024 waiting events the
// connection is no longer read. So they must not call what waits for an answer (Join, Publish and
// so on) nor Close; they may start a goroutine that does.
type Handler struct {
	State      func(State)
	Welcome    func(Welcome)    // perhaps with the loss of rooms
	Message    func(Message)    // live messages and those that a rejoin recovered, in order, each once
	Event      func(Message)    // named events, in one order with messages
	Signal     func(Signal)     // also of named events
	Annotation func(Annotation) // reactions, edits and deletes, in one order with messages; after a rejoin, after its messages
	Presence   func(Presence)
	Reset      func(Reset)   // a room's history has a gap; before Rejoined if a rejoin found it
	Rejoined   func(Joined)  // a room was rejoined, after a reconnect or a gap; after its messages
	Renewed    func(Renewed) // another token was taken, perhaps with the loss of rooms
	Error      func(error)   // *Error of an error_event, *RejoinError, *TokenError, protocol errors: for logs
}

func (o *Options) withDefaults() Options {
	out := Options{}
	if o != nil {
		out = *o
	}
	if out.Path == "" {
		out.Path = "/socket.io/"
	}
	if out.MinBackoff <= 0 {
		out.MinBackoff = 500 * time.Millisecond
	}
	if out.MaxBackoff <= 0 {
		out.MaxBackoff = 10 * time.Second
	}
	out.MaxBackoff = max(out.MaxBackoff, out.MinBackoff)
	if out.PublishTimeout <= 0 {
		out.PublishTimeout = time.Minute
	}
	if out.MaxPending <= 0 {
		out.MaxPending = 256
	}
	return out
}

func (o *Options) check() error {
	if n := utf8.RuneCountInString(o.Key); n > 0 && (n < 16 || n > 64) {
		return errors.New("client: Key must have 16 to 64 characters")
	}
	for name, value := range map[string]string{"Name": o.Name, "Key": o.Key} {
		if !utf8.ValidString(value) { // JSON would change it: two keys might become one
			return errors.New("client: " + name + " must be UTF-8")
		}
	}
	if !validToken(o.Token) {
		return errToken
	}
	if o.Path[0] != '/' || !plainURL(o.Path) {
		return errors.New("client: Path must begin with / and have neither query nor spaces")
	}
	return nil
}

var errToken = errors.New("client: a token must be UTF-8")

func validToken(token string) bool { return utf8.ValidString(token) }

// address returns the URL of the WebSocket of the relay at url (https://host, ws://host:port and so
// on, without a path), by which one is served in a region.
func address(url, path, region string) (string, error) {
	scheme, host, ok := strings.Cut(url, "://")
	if !ok {
		return "", errors.New("client: the URL must be http://, https://, ws:// or wss:// and a host")
	}
	switch strings.ToLower(scheme) {
	case "http", "ws":
		scheme = "ws"
	case "https", "wss":
		scheme = "wss"
	default:
		return "", errors.New("client: the URL must be http://, https://, ws:// or wss:// and a host")
	}
	host = strings.TrimSuffix(host, "/")
	if host == "" || strings.ContainsAny(host, "/@") || !plainURL(host) {
		return "", errors.New("client: the URL must be a scheme and a host alone (Options.Path has the path)")
	}
	return scheme + "://" + host + path + "?EIO=4&transport=websocket" + regionParameter(region), nil
}

// regionParameter is what a request's query says of the region to be served in.
func regionParameter(region string) string {
	if region == "" {
		return ""
	}
	const hex = "0123456789ABCDEF" // package net/url would add to the browser's program
	out := []byte("&region=")
	for _, c := range []byte(region) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

// plainURL reports whether s is printable ASCII without what ends or breaks a URL's path.
func plainURL(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`?#\"<>^{}|`+"`", c) >= 0 {
			return false
		}
	}
	return true
}
