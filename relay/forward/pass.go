package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// passHeader of a request says that a relay of this fleet has sent it on:
	// "<node> <seconds since 1970> <MAC>", the MAC (HMAC-SHA256, RFC 2104) by the secret that the fleet
	// shares.
	passHeader = "Setu-Forward"
	// maxSkew is how far the clocks of two relays may be apart.
	maxSkew = 5 * time.Minute
)

var errPass = errors.New("not signed by this fleet, or not now")

// sign returns what passHeader says for a request on its way to node.
func sign(secret []byte, node string, r *http.Request, at time.Time) string {
	head := node + " " + strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("setu forward\n" + head + "\n" + r.Method + "\n" + r.URL.Query().Get("sid")))
	return head + " " + hex.EncodeToString(mac.Sum(nil))
}

// verify checks what passHeader says.
func (f *Forwarder) verify(r *http.Request) error {
	got := r.Header.Get(passHeader)
	part := strings.Split(got, " ")
	if len(part) != 3 {
		return errPass
	}
	seconds, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil {
		return errPass
	}
	at := time.Unix(seconds, 0)
	secret, err := f.fleet.Secret(r.Context())
	if err != nil {
		return err
	}
	if time.Since(at).Abs() > maxSkew || !hmac.Equal([]byte(got), []byte(sign(secret, part[0], r, at))) {
		return errPass
	}
	return nil
}
