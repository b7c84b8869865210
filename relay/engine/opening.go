package engine

import (
	"net/http"
	"net/netip"
	"strings"
)

// Opening is what a session keeps of the request that opened it, for those above. It does not change, over
// an upgrade neither. A server's bound on a request's headers, its first line among them, bounds it.
type Opening struct {
	Address netip.Addr        // of the client; not valid if it is not known
	Query   string            // raw
	Headers map[string]string // by their canonical names; those that come several times are joined
}

// Opening returns what is kept of the request that opened the session; nil if nothing is.
func (s *Session) Opening() *Opening { return s.opening }

// Address returns the address by which the client is limited. It is not valid if it is not known.
func (s *Session) Address() netip.Addr { return s.address }

func (srv *Server) openingOf(r *http.Request) *Opening {
	o := &Opening{Address: srv.Client(r), Query: strings.Clone(r.URL.RawQuery), Headers: map[string]string{}}
	for _, name := range *srv.cfg.KeepOpening {
		between := ", "
		if name == "Cookie" {
			between = "; "
		}
		if values := r.Header[name]; len(values) > 0 {
			o.Headers[name] = strings.Clone(strings.Join(values, between))
		} else if name == "Host" { // which net/http takes out
			o.Headers[name] = strings.Clone(r.Host)
		}
	}
	return o
}
