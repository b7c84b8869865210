package client

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Options says who we are and how hard to try. The zero value works: a guest with a made-up name.
type Options struct {
	Name  string // of a guest; empty: the relay makes one up
	Key   string // a guest's secret of 16 to 64 characters, which keeps his public id; empty: a new user each session
	Token string // of somebody known; Name and Key then don't matter
	Path  string // where the relay serves Socket.IO; empty: "/socket.io/"

	MinBackoff time.Duration // bound of the first wait after a lost connection, and then doubled; 0: 500 ms
	MaxBackoff time.Duration // bound of all waits; 0: 10 s

	PublishTimeout time.Duration // how long a publish is kept and sent again; 0: 60 s
	MaxPending     int           // calls (publishes above all) that may wait for an answer; 0: 256

	Handler Handler
	Native  Native // what only native builds have; zero is fine
}

// Handler is told what happens. Each function is called from one and the same goroutine, one at a time, in order; nil
// ones are skipped. One that blocks holds up what follows: past 1,024 waiting events the connection is no longer read. So a
// Handler must not wait for an answer (Join, Publish and so on) nor call Close; it may start a goroutine that does.
type Handler struct {
	State    func(State)
	Welcome  func(Welcome)
	Message  func(Message)  // live ones and those that a rejoin recovered, in order, none twice
	Signal   func(Signal)   //
	Presence func(Presence) //
	Reset    func(Reset)    // a room's history has a gap; before Rejoined where a rejoin could not recover
	Rejoined func(Joined)   // after a reconnect, for each room, after what it recovered; also when a hole was mended
	Error    func(error)    // *Error of an error_event, *RejoinError, faults of the protocol: for logs
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
	for name, value := range map[string]string{"Name": o.Name, "Key": o.Key, "Token": o.Token} {
		if !utf8.ValidString(value) { // JSON would change it: two keys might become one
			return errors.New("client: " + name + " must be UTF-8")
		}
	}
	if o.Path[0] != '/' || !plainURL(o.Path) {
		return errors.New("client: Path must begin with / and have neither query nor spaces")
	}
	return nil
}

// address makes the WebSocket's URL of a relay's: https://host, ws://host:port and so on, no path.
func address(url, path string) (string, error) {
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
	return scheme + "://" + host + path + "?EIO=4&transport=websocket", nil
}

func plainURL(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`?#\"<>^{}|`+"`", c) >= 0 {
			return false
		}
	}
	return true
}
