package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// signatureHeader of a request says that a relay of this fleet has sent it on:
// "<node> <seconds since 1970> <MAC>", the MAC (HMAC-SHA256, RFC 2104) by the secret that the fleet
// shares.
//
// It gives a request one thing: that it goes no further. Whoever reads it on the private network,
// and repeats it, gains nothing, as the same request is served without it; what is worth stealing
// there is the session's id beside it. So the time is not held against this relay's clock, which
// may be minutes away from the sender's. It is there for relays of before, which refuse what is
// five minutes off.
const signatureHeader = "Setu-Forward"

var errSignature = errors.New("not signed by this fleet")

// sign returns what signatureHeader says of a request on its way to node.
func sign(secret []byte, node string, r *http.Request, at time.Time) string {
	return signature(secret, node+" "+strconv.FormatInt(at.Unix(), 10), r)
}

func signature(secret []byte, head string, r *http.Request) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("setu forward\n" + head + "\n" + r.Method + "\n" + r.URL.Query().Get("sid")))
	return head + " " + hex.EncodeToString(mac.Sum(nil))
}

// clientHeader of a request that another relay has sent on says which address its client has:
// "<address> <MAC>". It has a MAC of its own, since relays of before know nothing of it.
const clientHeader = "Setu-Client"

// signClient returns what clientHeader says.
func signClient(secret []byte, at netip.Addr, r *http.Request) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("setu client\n" + at.String() + "\n" + r.Method + "\n" + r.URL.Query().Get("sid")))
	return at.String() + " " + hex.EncodeToString(mac.Sum(nil))
}

// clientOf returns what clientHeader says, or the zero Addr if that is nothing that a relay has written.
func (f *Forwarder) clientOf(r *http.Request) netip.Addr {
	got := r.Header.Get(clientHeader)
	text, _, _ := strings.Cut(got, " ")
	at, err := netip.ParseAddr(text)
	secret, err2 := f.fleet.Secret(r.Context())
	if err != nil || err2 != nil || !hmac.Equal([]byte(got), []byte(signClient(secret, at, r))) {
		return netip.Addr{}
	}
	return at
}

// verify checks what signatureHeader says.
func (f *Forwarder) verify(r *http.Request) error {
	got := r.Header.Get(signatureHeader)
	part := strings.Split(got, " ")
	if len(part) != 3 {
		return errSignature
	}
	secret, err := f.fleet.Secret(r.Context())
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(got), []byte(signature(secret, part[0]+" "+part[1], r))) {
		return errSignature
	}
	return nil
}
