package engine

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Origins are the sites, beside the one that serves the request, whose pages may connect. The zero
// value has none.
type Origins struct {
	any   bool
	exact map[origin]bool
	below []origin // any subdomain of name, which begins with a dot
}

// origin is what the Origin header of a request says (RFC 6454, 6.2), in one spelling. An opaque
// origin, "null", has a scheme alone.
type origin struct {
	scheme, name string
	port         string // empty: the default of the scheme
}

// Schemes of origins.
const (
	opaque    = "null"
	emptyFile = "file://" // in full, as old WebViews write it
	plainHTTP = "http"
	secure    = "https"
)

// foreign are schemes of which no page has an origin: what is loaded by some of them has "null".
var foreign = []string{"about", "blob", "data", "file", "ftp", "javascript", "mailto", "ws", "wss"}

// Errors of what stands for no origin.
var (
	errOriginForm     = errors.New("an origin is a scheme, :// and a host")
	errOriginScheme   = errors.New("no page has an origin of this scheme")
	errOriginRest     = errors.New("an origin has a scheme, a host and a port, and nothing else")
	errOriginHost     = errors.New("not a host as browsers write it, in ASCII")
	errOriginPort     = errors.New("a port is a number from 1 to 65535")
	errOriginWildcard = errors.New("a star stands for subdomains alone, as in https://*.example.com")
)

// ParseOrigins reads a list of sites. Each is an origin, as browsers write it:
//
//	https://example.com:8443   this one; the default port of its scheme may be left out
//	https://*.example.com      any subdomain of example.com, and not example.com
//	capacitor://localhost      a program's page
//	null                       pages without an origin, such as files and sandboxed frames
//	*                          any
//
// What can never be the origin of a page is an error.
func ParseOrigins(list []string) (Origins, error) {
	o := Origins{exact: map[origin]bool{}}
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		site, wild, err := parseSite(s)
		switch {
		case err != nil:
			return Origins{}, err
		case wild:
			o.below = append(o.below, site)
		default:
			o.exact[site] = true
		}
	}
	return o, nil
}

// parseSite reads one item of a list of sites. wild says that it stands for subdomains: of its name,
// which then begins with a dot.
func parseSite(s string) (site origin, wild bool, err error) {
	if s == opaque || strings.EqualFold(s, emptyFile) {
		return originOf(s), false, nil
	}
	scheme, rest, ok := strings.Cut(strings.ToLower(s), "://")
	if slices.Contains(foreign, scheme) {
		return site, false, errOriginScheme
	}
	rest, wild = strings.CutPrefix(strings.TrimSuffix(rest, "/"), "*.")
	site = newOrigin(scheme, rest)
	if !ok || !isScheme(scheme) || site.name == "" {
		return site, wild, errOriginForm
	}
	if err := site.check(); err != nil || !wild {
		return site, wild, err
	}
	if !site.isWeb() || !hasSubdomains(site.name) {
		return site, wild, errOriginWildcard
	}
	site.name = "." + site.name
	return site, wild, nil
}

// isScheme reports whether s, in lower case, is the scheme of a URL (RFC 3986, 3.1).
func isScheme(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z' && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("+-.", c)
	})
}

// hasSubdomains reports whether a site may own all names below this one: not those below a top-level
// domain, nor is there anything below an address. A machine has "localhost" to itself.
func hasSubdomains(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || last[0] >= '0' && last[0] <= '9' || name[0] == '[' {
		return false
	}
	return last != name || name == "localhost"
}

// check reports what is wrong with a site's host and port.
func (o origin) check() error {
	_, notNumber := strconv.ParseUint(o.port, 10, 16)
	switch {
	case strings.Contains(o.name+o.port, "*"):
		return errOriginWildcard
	case strings.ContainsAny(o.name+o.port, "/?#@\\"):
		return errOriginRest
	case o.port != "" && (notNumber != nil || o.port == "0"):
		return errOriginPort
	case !o.isWeb(): // what a program names its pages is its own affair
		return nil
	case strings.HasPrefix(o.name, "["):
		if ip, err := netip.ParseAddr(strings.Trim(o.name, "[]")); err != nil || ip.Zone() != "" {
			return errOriginHost
		}
		return nil
	case strings.HasPrefix(o.name, ".") || strings.Contains(o.name, "..") || strings.ContainsFunc(o.name, foreignToHosts):
		return errOriginHost
	}
	return nil
}

// foreignToHosts reports whether c does not occur in the host of a web site, in lower case.
func foreignToHosts(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-._", c)
}

// originOf reads an Origin header. What is none matches nothing.
func originOf(header string) origin {
	if header == opaque {
		return origin{scheme: opaque}
	}
	u, err := url.Parse(header)
	if err != nil || u.Host == "" && !strings.EqualFold(header, emptyFile) {
		return origin{}
	}
	return newOrigin(u.Scheme, u.Host)
}

// newOrigin returns the origin of this scheme and host[:port] in one spelling: without the default
// port, and an IPv6 address as short as it gets.
func newOrigin(scheme, hostport string) origin {
	name, port := splitPort(hostport)
	o := origin{scheme: strings.ToLower(scheme), name: name, port: port}
	if o.scheme == plainHTTP && port == "80" || o.scheme == secure && port == "443" {
		o.port = ""
	}
	return o
}

// splitPort parts host[:port].
func splitPort(hostport string) (name, port string) {
	name = strings.ToLower(hostport)
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, ']') {
		name, port = name[:i], name[i+1:]
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil && ip.Is6() {
		name = "[" + ip.String() + "]"
	}
	return name, port
}

func (o origin) isWeb() bool { return o.scheme == plainHTTP || o.scheme == secure }

// servedBy reports whether o is the site that a request with this Host header asks. What the scheme
// of the request was, only a proxy in front knows, so the default ports of both are left out.
func (o origin) servedBy(host string) bool {
	name, port := splitPort(host)
	if !o.isWeb() || o.name != name {
		return false
	}
	return port == o.port || o.port == "" && (port == "80" || port == "443")
}

// has reports whether the pages of o may connect.
func (list *Origins) has(o origin) bool {
	if list.any || list.exact[o] {
		return true
	}
	return slices.ContainsFunc(list.below, func(b origin) bool {
		return b.scheme == o.scheme && b.port == o.port && len(o.name) > len(b.name) && strings.HasSuffix(o.name, b.name)
	})
}

// isEmpty reports whether nobody but the site itself may connect.
func (list *Origins) isEmpty() bool { return !list.any && len(list.exact) == 0 && len(list.below) == 0 }

// IsSite reports whether s is a web site's origin, http or https, and nothing else.
func IsSite(s string) bool {
	o, wild, err := parseSite(s)
	return err == nil && o.isWeb() && !wild
}
