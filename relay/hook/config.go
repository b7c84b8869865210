package hook

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"setu/relay/auth"
	"setu/relay/metrics"
)

// Networks in which the app may be.
const (
	Public = "public" // addresses of the internet alone
	Any    = "any"    // the private network and this machine, too
)

// Config is what a Sender needs of the settings.
type Config struct {
	URL *url.URL // as ParseURL returns it
	// Secrets sign what is sent, each of them, as ParseSecrets returns them. None: nothing is signed.
	Secrets []auth.Secret
	// Network is Public or Any. Empty: Public.
	Network string

	// Timeout bounds a request: the wait for its turn, and for all of the answer. Zero: 2 s.
	Timeout time.Duration
	// Concurrency bounds the requests at a time, Queue those that wait for their turn: past that they
	// fail at once. Zero: 64 requests, and none waits.
	Concurrency, Queue int
	// MaxAnswer bounds an answer, in bytes. Zero: 262,144.
	MaxAnswer int

	// Events are what the app is asked, and Headers those of a client's handshake that it is told, in
	// their canonical form. A Sender passes over both.
	Events  Events
	Headers []string

	// Transport makes the requests. Nil: they are made over the network, as Network says.
	Transport http.RoundTripper

	// Lane is what the Sender is called where several are counted. Empty: metrics.HookAsked.
	Lane metrics.HookLane
	// Metrics count what happens. Nil: nobody reads them.
	Metrics *metrics.Metrics
}

func (c Config) withDefaults() Config {
	c.Network = cmp.Or(c.Network, Public)
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	c.MaxAnswer = cmp.Or(c.MaxAnswer, 256<<10)
	c.Lane = cmp.Or(c.Lane, metrics.HookAsked)
	if c.Metrics == nil {
		c.Metrics = metrics.New()
	}
	return c
}

// ParseURL reads the app's address. What it returns holds no user and no password; its query, and its
// path, may be secrets.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("it is http or https")
	case u.User != nil:
		return nil, errors.New("it holds a user or a password")
	case u.Fragment != "":
		return nil, errors.New("it has a fragment")
	}
	return u, nil
}

// IsLocal reports whether an address is of this machine.
func IsLocal(u *url.URL) bool {
	at, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && at.IsLoopback()
}

// IsPrivate reports whether an address is plainly not one of the internet. Of most names that is known
// only when they are looked up: Public is held when a connection is made.
func IsPrivate(u *url.URL) bool {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if at, err := netip.ParseAddr(host); err == nil {
		return guard.SafeAddr(at.Unmap().WithZone("")) != nil
	}
	for _, name := range []string{"localhost", "internal", "local", "flycast", "home.arpa"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return !strings.Contains(host, ".")
}

// Bounds of a secret, in bytes, as Standard Webhooks has them.
const (
	minSecret    = 24
	maxSecret    = 64
	secretPrefix = "whsec_"
)

// ParseSecrets reads one secret, or two with a comma between while they change. Space around them is not
// theirs. An error holds nothing of them.
func ParseSecrets(text auth.Secret) ([]auth.Secret, error) {
	parts := strings.Split(string(text), ",")
	if len(parts) > 2 {
		return nil, fmt.Errorf("it has %d parts: one secret, or two with a comma between", len(parts))
	}
	var out []auth.Secret
	for i, part := range parts {
		part = strings.TrimSpace(part)
		encoded, ok := strings.CutPrefix(part, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		switch {
		case !ok:
			return nil, fmt.Errorf("secret %d of %d does not begin with %s", i+1, len(parts), secretPrefix)
		case err != nil:
			return nil, fmt.Errorf("what follows %s in secret %d of %d is no base64", secretPrefix, i+1, len(parts))
		case len(key) < minSecret || len(key) > maxSecret:
			return nil, fmt.Errorf("secret %d of %d has %d bytes: it takes %d to %d, in base64", i+1, len(parts), len(key), minSecret, maxSecret)
		}
		out = append(out, auth.Secret(part))
	}
	return out, nil
}

// Events is a set of what the app can be asked.
type Events []metrics.Hook

// Has reports whether the app is asked of this kind.
func (e Events) Has(kind metrics.Hook) bool { return slices.Contains(e, kind) }

// ParseEvents reads the names of what the app is to be asked.
func ParseEvents(names []string) (out Events, err error) {
	for _, name := range names {
		kind := metrics.Hook(name)
		switch {
		case !slices.Contains([]metrics.Hook{metrics.HookConnect, metrics.HookEvent, metrics.HookJoin, metrics.HookPublish, metrics.HookPresence}, kind):
			return nil, fmt.Errorf("there is no %.40q", name)
		case out.Has(kind):
			return nil, fmt.Errorf("%s comes twice", name)
		}
		out = append(out, kind)
	}
	return out, nil
}

// maxHeaderNames bounds the headers that the app may be told.
const maxHeaderNames = 16

// ParseHeaders reads the names of headers.
func ParseHeaders(names []string) (out []string, err error) {
	if len(names) > maxHeaderNames {
		return nil, fmt.Errorf("they are %d: at most %d are taken", len(names), maxHeaderNames)
	}
	for _, name := range names {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("%.40q is no name of a header", name)
		}
		out = append(out, http.CanonicalHeaderKey(name))
	}
	return out, nil
}
