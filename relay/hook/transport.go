package hook

import (
	"net"
	"net/http"
	"time"

	"code.dny.dev/ssrf"
)

// guard knows the addresses that are not of the internet: those of private networks, this machine, what is
// linked to it, and others of special purposes, as IANA lists them.
var guard = ssrf.New(ssrf.WithAnyPort())

// idleTimeout is how long a connection is kept for the next request.
const idleTimeout = 30 * time.Second

// maxHeaders bounds the headers of an answer, in bytes.
const maxHeaders = 16 << 10

// NewTransport returns what makes requests, as a Sender does that is not given a Transport. Where they go is looked at when a connection is made, after its
// name was looked up: a name that means another address the second time gains nothing. No proxy of the
// environment is asked, which would look names up itself. Used without a http.Client it follows no redirect,
// and keeps no cookie.
func NewTransport(cfg Config) *http.Transport {
	d := net.Dialer{Timeout: cfg.Timeout}
	if cfg.Network != Any {
		d.Control = guard.Safe
	}
	return &http.Transport{
		DialContext:            d.DialContext,
		TLSHandshakeTimeout:    cfg.Timeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: idleTimeout / 2, PingTimeout: cfg.Timeout},
		DisableCompression:     true, // an answer is as large as it says
		MaxIdleConns:           cfg.Concurrency,
		MaxIdleConnsPerHost:    cfg.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaders,
	}
}
