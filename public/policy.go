package public

import (
	"net/http"
	"regexp"
	"strings"
)

// policy is the page's Content-Security-Policy. The page may load files from its own origin,
// compile its program and connect to the relay that served it. It may use nothing inline and
// nothing from elsewhere, and turn no string into markup. The one policy for trusted types turns any
// string into the address of the service worker.
var policy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self' 'wasm-unsafe-eval'",
	"style-src 'self'",
	"img-src 'self' data:",
	"manifest-src 'self'",
	"worker-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"require-trusted-types-for 'script'",
	"trusted-types setu-worker",
	"connect-src 'self'",
}, "; ")

// plainHost matches a host, perhaps with a port, that can be put into a header unchanged.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// embedder matches a site that may embed the page, as it can be put into a header.
var embedder = regexp.MustCompile(`^https?://(\*\.)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)

// frameAncestors returns the directive that lets these sites embed the page, and no others.
func frameAncestors(embedders []string) string {
	if len(embedders) == 0 {
		return "frame-ancestors 'none'; "
	}
	return "frame-ancestors " + strings.Join(embedders, " ") + "; "
}

// letEmbed lets sites that are isolated from others (Cross-Origin-Embedder-Policy: require-corp) embed
// the page, as far as frame-ancestors allows it. They show no document that does not let itself be
// embedded from elsewhere, and that does not ask the same of what it loads itself. The files of the
// page are of its own origin, so they need no more.
func letEmbed(header http.Header) {
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Set("Cross-Origin-Embedder-Policy", "require-corp")
}

// writePolicy sets the headers that say what the page may do, and who may embed it.
func writePolicy(header http.Header, host, ancestors string) {
	value := strings.Replace(policy, "connect-src", ancestors+"connect-src", 1)
	// For older browsers 'self' does not include ws: and wss:.
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
