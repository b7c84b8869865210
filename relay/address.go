package relay

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
)

// Peer is this relay as the others of its fleet reach it.
func (c Config) Peer() broker.Peer {
	return broker.Peer{Node: c.Node, URL: c.privateURL(), Machine: c.Machine, Place: c.place()}
}

// place is where this relay is, as others may see it.
func (c Config) place() broker.Place { return broker.Place{Region: c.Region, Relay: c.RelayID} }

// privateURL returns PRIVATE_URL, or else a guess: by the address that this relay listens on, Fly's
// private one, the one from which Redis is reached, or this machine's first. It returns "" if there
// is none.
func (c Config) privateURL() string {
	if c.PrivateURL != "" {
		return c.PrivateURL
	}
	host := c.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	for _, guess := range []func() string{func() string { return c.PrivateIP }, c.sourceAddress, firstAddress} {
		if host == "" {
			host = guess()
		}
	}
	if host == "" {
		return ""
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.Port))
}

// sourceAddress returns the address from which Redis is reached, or "". The routing table says so:
// nothing is sent.
func (c Config) sourceAddress() string {
	u, err := url.Parse(strings.TrimSpace(c.RedisURL))
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // for the name
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return ""
	}
	defer conn.Close()
	return hostOnly(conn.LocalAddr())
}

// firstAddress returns this machine's first address that others may reach, or "".
func firstAddress() string {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}

// hostOnly returns an address without its port, or "".
func hostOnly(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return ""
	}
	return host
}

// checkRelayURL returns why an entry of RELAY_URLS is none, after those before it.
func checkRelayURL(entry string, before []string) error {
	region, site, ok := strings.Cut(entry, "=")
	switch {
	case slices.ContainsFunc(before, func(other string) bool { return strings.HasPrefix(other, region+"=") }):
		return errors.New("another entry is of the same region")
	case !ok || region == "":
		return errors.New("it is a region, =, and where browsers reach its relays")
	case !isText(region, maxRegion):
		return errors.New("a region has at most 128 bytes, without control characters")
	case !engine.IsSite(site):
		return errors.New("where browsers reach its relays is http:// or https://, a host and perhaps a port, and nothing else")
	}
	return nil
}

// maxRegion is how many bytes REGION may have.
const maxRegion = 128

// relayURLs returns RELAY_URLS by region.
func (c Config) relayURLs() map[string]string {
	urls := make(map[string]string, len(c.RelayURLs))
	for _, entry := range c.RelayURLs {
		region, site, _ := strings.Cut(entry, "=")
		urls[region] = site
	}
	return urls
}
