package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
)

// signedBefore returns how relays of an earlier version sign a request.
func signedBefore(secret, node, method, sid string, at time.Time) string {
	head := node + " " + strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "setu forward\n%s\n%s\n%s", head, method, sid)
	return head + " " + hex.EncodeToString(mac.Sum(nil))
}

// verifiedBefore reports whether relays of an earlier version take a request's signature.
func verifiedBefore(secret string, r *http.Request) bool {
	got := r.Header.Get("Setu-Forward")
	part := strings.Split(got, " ")
	if len(part) != 3 {
		return false
	}
	seconds, err := strconv.ParseInt(part[1], 10, 64)
	at := time.Unix(seconds, 0)
	return err == nil && time.Since(at).Abs() <= 5*time.Minute && got == signedBefore(secret, part[0], r.Method, r.URL.Query().Get("sid"), at)
}

// What another relay forwards is served, whatever its clock shows; what the fleet has not signed is
// not.
func TestForwardedByOtherClocks(t *testing.T) {
	f := newFleet()
	home := f.join(t, Config{}, engine.Config{})
	sid := open(t, home.URL, nil)
	for name, tt := range map[string]struct {
		secret, sid string
		off         time.Duration
		status      int
	}{
		"the same clock":          {f.secret, sid, 0, 200},
		"ten minutes behind":      {f.secret, sid, -10 * time.Minute, 200},
		"ten minutes ahead":       {f.secret, sid, 10 * time.Minute, 200},
		"a clock that was reset":  {f.secret, sid, -50 * 365 * 24 * time.Hour, 200},
		"another secret":          {"guess", sid, 0, 403},
		"signed for another sid":  {f.secret, "x", 0, 403},
		"signed for a new client": {f.secret, "", 0, 403},
	} {
		signed := signedBefore(tt.secret, home.Node, "POST", tt.sid, time.Now().Add(tt.off))
		res, body := ask(t, "POST", home.URL+polling+"&sid="+sid, "3", http.Header{"Setu-Forward": {signed}})
		if res.StatusCode != tt.status {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
}

// Relays of an earlier version take what a relay forwards, new clients, too.
func TestForwardToRelayOfBefore(t *testing.T) {
	f := newFleet()
	taken := make(chan bool, 1)
	before := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { taken <- verifiedBefore(f.secret, r) }))
	defer before.Close()
	p := broker.Peer{Node: engine.NewNode(), URL: before.URL}
	f.peers[p.Node], f.others = p, []broker.Peer{p}
	one := f.join(t, Config{}, engine.Config{})
	ask(t, "POST", one.URL+polling+"&sid=secret."+p.Node, "3", nil)
	if !<-taken {
		t.Error("a session's request")
	}
	one.drain()
	open(t, one.URL, nil)
	if !<-taken {
		t.Error("a new client")
	}
}

// A relay counts a client for the address that the relay which brings it says, and believes that of
// nobody else.
func TestWhoseClientItIs(t *testing.T) {
	f := newFleet()
	for name, tt := range map[string]struct {
		forwarded bool
		client    func(r *http.Request, n int) string
		second    int // status of the second of two clients that say they are of two addresses
	}{
		"a client":              {false, func(r *http.Request, n int) string { return signClient([]byte(f.secret), clientAt(n), r) }, 429},
		"a relay":               {true, func(r *http.Request, n int) string { return signClient([]byte(f.secret), clientAt(n), r) }, 200},
		"another fleet's relay": {true, func(r *http.Request, n int) string { return signClient([]byte("guess"), clientAt(n), r) }, 429},
		"an address alone":      {true, func(_ *http.Request, n int) string { return clientAt(n).String() }, 429},
		"another's MAC": {true, func(r *http.Request, n int) string {
			return clientAt(n).String() + macOf(signClient([]byte(f.secret), clientAt(3), r))
		}, 429},
		"signed for another method": {true, func(r *http.Request, n int) string {
			r.Method = "POST"
			return signClient([]byte(f.secret), clientAt(n), r)
		}, 429},
		"a relay of before": {true, func(*http.Request, int) string { return "" }, 429},
		"nonsense":          {true, func(*http.Request, int) string { return "no address" }, 429},
	} {
		home := f.join(t, Config{}, engine.Config{MaxAddressConnections: 1})
		for n, want := range []int{200, tt.second} {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", home.URL+polling, nil)
			header := http.Header{"Setu-Client": {tt.client(r, n)}}
			if tt.forwarded {
				header.Set("Setu-Forward", signedBefore(f.secret, home.Node, "GET", "", time.Now()))
			}
			if res, body := ask(t, "GET", home.URL+polling, "", header); res.StatusCode != want {
				t.Errorf("%s, client %d: %s %s", name, n, res.Status, body)
			}
		}
	}
}

// What a client writes in the header of relays is not passed on.
func TestForgedClientIsNotForwarded(t *testing.T) {
	f := newFleet()
	home := f.join(t, Config{}, engine.Config{MaxAddressConnections: 1})
	one := f.join(t, Config{}, engine.Config{})
	f.others = []broker.Peer{home.Peer}
	one.drain()
	for n, want := range []int{200, 429} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", one.URL+polling, nil)
		forged := http.Header{"Setu-Client": {signClient([]byte("guess"), clientAt(n), r)}}
		if res, body := ask(t, "GET", one.URL+polling, "", forged); res.StatusCode != want {
			t.Errorf("client %d: %s %s", n, res.Status, body)
		}
	}
}

// clientAt returns the address of a client.
func clientAt(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }

// macOf returns what follows the address in clientHeader.
func macOf(header string) string {
	_, mac, _ := strings.Cut(header, " ")
	return " " + mac
}
