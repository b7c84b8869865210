package public

import (
	"net/http"
	"regexp"
	"strings"
)

// policy is what the page may do: run the files beside it, compile its program,
// and talk to the relay that served it. Nothing inline, nothing from elsewhere,
// and no string becomes markup.
var policy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self' 'wasm-unsafe-eval'",
	"style-src 'self'",
	"img-src 'self' data:",
	"manifest-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
	"trusted-types 'none'",
	"connect-src 'self'",
}, "; ")

// plainHost is a host and port that can stand in a header as it is.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func writePolicy(header http.Header, host string) {
	value := policy
	// Older browsers do not count ws: as 'self'.
	if plainHost.MatchString(host) {
		value += " ws://" + host + " wss://" + host
	}
	header.Set("Content-Security-Policy", value)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}
