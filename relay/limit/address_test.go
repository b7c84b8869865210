package limit

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
)

func TestAddress(t *testing.T) {
	proxies, err := ParsePrefixes([]string{"10.0.0.0/8", "2001:db8:ffff::/48", "203.0.113.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, peer string
		fly        bool
		headers    []string // names and values
		want       string
	}{
		{"the peer", "192.0.2.1:4711", false, nil, "192.0.2.1"},
		{"IPv4 as IPv6", "[::ffff:192.0.2.1]:4711", false, nil, "192.0.2.1"},
		{"IPv6 by its site", "[2001:db8:1:2:3:4:5:6]:4711", false, nil, "2001:db8:1:2::"},
		{"a zone", "[fe80::1%eth0]:4711", false, nil, "fe80::"},
		{"no address", "pipe", false, nil, "invalid IP"},

		{"a client that makes one up", "192.0.2.1:1", false, []string{"X-Forwarded-For", "198.51.100.7", "Fly-Client-Ip", "198.51.100.7"}, "192.0.2.1"},
		{"a proxy", "10.0.0.1:1", false, []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"a proxy, and what the client made up", "10.0.0.1:1", false, []string{"X-Forwarded-For", "1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"what the client made up in a header of its own", "10.0.0.1:1", false,
			[]string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1", false, []string{"X-Forwarded-For", "1.1.1.1, 198.51.100.7,203.0.113.1"}, "198.51.100.7"},
		{"a proxy on a port", "10.0.0.1:1", false, []string{"X-Forwarded-For", "198.51.100.7:99"}, "198.51.100.7"},
		{"a proxy of IPv6", "[2001:db8:ffff::1]:1", false, []string{"X-Forwarded-For", "[2001:db8:1:2:3::4]:99"}, "2001:db8:1:2::"},
		{"a proxy that writes nothing", "10.0.0.1:1", false, nil, "10.0.0.1"},
		{"a proxy that writes nonsense", "10.0.0.1:1", false, []string{"X-Forwarded-For", "1.1.1.1, unknown"}, "10.0.0.1"},
		{"all are proxies", "10.0.0.1:1", false, []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},

		{"Fly", "172.16.0.1:1", true, []string{"Fly-Client-Ip", "198.51.100.7"}, "198.51.100.7"},
		{"Fly, IPv6", "172.16.0.1:1", true, []string{"Fly-Client-Ip", "2001:db8:1:2:3::4"}, "2001:db8:1:2::"},
		{"Fly, twice", "172.16.0.1:1", true, []string{"Fly-Client-Ip", "1.1.1.1", "Fly-Client-Ip", "198.51.100.7"}, "172.16.0.1"},
		{"Fly, and a client that makes one up", "172.16.0.1:1", true,
			[]string{"Fly-Client-Ip", "198.51.100.7", "X-Forwarded-For", "1.1.1.1, 198.51.100.7, 66.241.0.1"}, "198.51.100.7"},
		{"Fly behind a proxy", "172.16.0.1:1", true,
			[]string{"Fly-Client-Ip", "203.0.113.1", "X-Forwarded-For", "1.1.1.1, 198.51.100.7, 203.0.113.1, 66.241.0.1"}, "198.51.100.7"},
		{"Fly behind a proxy that writes nothing", "172.16.0.1:1", true,
			[]string{"Fly-Client-Ip", "203.0.113.1", "X-Forwarded-For", "66.241.0.1"}, "203.0.113.1"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{}}
		for pair := range slices.Chunk(test.headers, 2) {
			r.Header.Add(pair[0], pair[1])
		}
		if got := (Addresses{Fly: test.fly, Trusted: proxies}).Of(r).String(); got != test.want {
			t.Errorf("%s: %s, not %s", test.name, got, test.want)
		}
	}
}

func TestParsePrefixes(t *testing.T) {
	got, err := ParsePrefixes([]string{"10.1.2.3/8", "::1", "::ffff:192.0.2.0/120"})
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.0/24")}
	if err != nil || !slices.Equal(got, want) {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "x", "10.0.0.0/33", "10.0.0", "example.com"} {
		if _, err := ParsePrefixes([]string{bad}); err == nil {
			t.Errorf("%q is a network", bad)
		}
	}
}

// No header of a peer that is not trusted counts, and nothing that is written in one panics.
func FuzzAddress(f *testing.F) {
	f.Add("192.0.2.1:4711", "198.51.100.7, 10.0.0.2", "198.51.100.7")
	f.Add("10.0.0.1:1", "[::1]:5,,x", "")
	f.Add("pipe", "%", "fe80::1%x")
	trusted, _ := ParsePrefixes([]string{"10.0.0.0/8"})
	f.Fuzz(func(t *testing.T, peer, forwarded, fly string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}, "Fly-Client-Ip": {fly}}}
		got := Addresses{Trusted: trusted}.Of(r)
		bare := Addresses{}.Of(r)
		if at := parseAddress(peer); !trusted[0].Contains(at) && got != bare || bare != Key(at) {
			t.Errorf("%q is limited as %v, not %v", peer, got, bare)
		}
		if got.Is4In6() || got.Zone() != "" || got != Key(got) {
			t.Errorf("%v is no key", got)
		}
		onFly := Addresses{Fly: true, Trusted: trusted}.Of(r)
		if onFly.Is4In6() || onFly.Zone() != "" {
			t.Errorf("%v is no key", onFly)
		}
	})
}

// A peer is known by its connection's address, whatever a proxy would say of it.
func TestOfPeer(t *testing.T) {
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	proxied := Addresses{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, c := range []struct {
		of     Addresses
		remote net.Addr
		at     string // empty: it is not to be limited
	}{
		{Addresses{}, tcp("192.0.2.1:80"), "192.0.2.1"},
		{Addresses{}, tcp("[::ffff:192.0.2.1]:80"), "192.0.2.1"},
		{Addresses{}, tcp("[2001:db8:1:2:3::4]:80"), "2001:db8:1:2::"},
		{Addresses{}, tcp("[fe80::1%eth0]:80"), "fe80::"},
		{proxied, tcp("192.0.2.1:80"), "192.0.2.1"},
		{proxied, tcp("10.1.2.3:80"), ""},
		{Addresses{Fly: true}, tcp("192.0.2.1:80"), ""},
		{Addresses{}, &net.UnixAddr{Name: "@", Net: "unix"}, ""},
	} {
		at, ok := c.of.OfPeer(c.remote)
		if ok != (c.at != "") || ok && at.String() != c.at {
			t.Errorf("%v of %v: %v, %v", c.of, c.remote, at, ok)
		}
	}
	peer := tcp("192.0.2.1:80")
	if n := testing.AllocsPerRun(100, func() { Addresses{}.OfPeer(peer) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
