package engine

import (
	"net/http"
	"strings"
)

// originAllowed denies pages of other sites, whatever the transport. A request without an Origin is
// not a browser's.
func (srv *Server) originAllowed(r *http.Request) bool {
	header := r.Header.Get("Origin")
	if header == "" || srv.cfg.AllowedOrigins.any {
		return true
	}
	o := originOf(header)
	return o.servedBy(r.Host) || srv.cfg.AllowedOrigins.has(o)
}

// allowOrigin has a browser hand the answer to a page of another site, whose origin was allowed
// (Fetch Standard, CORS). Pages of listed sites may send credentials along, such as a load
// balancer's cookie; if any site is allowed, nobody may.
func (srv *Server) allowOrigin(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if !srv.cfg.AllowedOrigins.isEmpty() {
		h.Add("Vary", "Origin")
	}
	switch {
	case origin == "":
	case srv.cfg.AllowedOrigins.any:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers what a browser asks before a request with headers of the page's own.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if headers := r.Header.Values("Access-Control-Request-Headers"); len(headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
