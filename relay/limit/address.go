package limit

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Addresses find out from which address a request comes. The zero value takes the peer's.
type Addresses struct {
	// Fly says that every request comes by way of Fly.io's proxy, which writes Fly-Client-IP. Elsewhere
	// that header is anybody's.
	Fly bool
	// Trusted are the proxies whose X-Forwarded-For holds.
	Trusted []netip.Prefix
}

// Of returns the address by which the client of a request is limited: Key of Client.
func (a Addresses) Of(r *http.Request) netip.Addr { return Key(a.Client(r)) }

// Client returns the address of the client of a request: of one that a client can make up, nothing is
// believed. It is the zero Addr, the same for all, if the peer has none.
//
// X-Forwarded-For is read from the right, where the nearest proxy has written who came to it: as long
// as that one is a trusted proxy, too, the next to the left is as good.
func (a Addresses) Client(r *http.Request) netip.Addr {
	at := parseAddress(r.RemoteAddr)
	var hops []string
	if h := r.Header["Fly-Client-Ip"]; a.Fly && len(h) == 1 {
		if client := parseAddress(h[0]); client.IsValid() {
			at = client
		}
	}
	if a.trusts(at) {
		hops = strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	}
	if a.Fly {
		hops = before(hops, at)
	}
	for a.trusts(at) && len(hops) > 0 {
		last := len(hops) - 1
		next := parseAddress(hops[last])
		if !next.IsValid() {
			break // the proxy itself is answerable for what it has written
		}
		at, hops = next, hops[:last]
	}
	return at
}

// OfPeer returns the address by which a peer is limited, and whether it may be: whom a proxy brings is
// not known before they have asked something.
func (a Addresses) OfPeer(remote net.Addr) (at netip.Addr, ok bool) {
	if tcp, is := remote.(*net.TCPAddr); is {
		at = tcp.AddrPort().Addr().Unmap().WithZone("")
	} else {
		at = parseAddress(remote.String())
	}
	return Key(at), at.IsValid() && !a.Fly && !a.trusts(at)
}

// before returns the hops that are left of an address. Fly.io's proxy appends itself to the one that it
// tells as the client's.
func before(hops []string, at netip.Addr) []string {
	for i := len(hops) - 1; i >= 0; i-- {
		if parseAddress(hops[i]) == at {
			return hops[:i]
		}
	}
	return nil
}

func (a Addresses) trusts(at netip.Addr) bool {
	for _, p := range a.Trusted {
		if p.Contains(at) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port. It is not valid if there is none.
func parseAddress(s string) netip.Addr {
	s = strings.TrimSpace(s)
	withPort, err := netip.ParseAddrPort(s) // as a peer's address is
	at := withPort.Addr()
	if err != nil {
		at, err = netip.ParseAddr(s)
	}
	if err != nil {
		return netip.Addr{}
	}
	return at.Unmap().WithZone("")
}

// sitePrefix is how much of an IPv6 address one customer has at least.
const sitePrefix = 64

// Key returns what an address is limited by: of IPv6 its /64, in which a client can have as many
// addresses as it likes.
func Key(at netip.Addr) netip.Addr {
	at = at.Unmap().WithZone("")
	if !at.Is6() {
		return at
	}
	p, _ := at.Prefix(sitePrefix) // it has one
	return p.Addr()
}

// ParsePrefixes reads a list of networks, or of single addresses.
func ParsePrefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			at, notAddress := netip.ParseAddr(s)
			if notAddress != nil {
				return nil, err
			}
			p = netip.PrefixFrom(at, at.BitLen())
		}
		if at := p.Addr(); at.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(at.Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
