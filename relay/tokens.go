package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"

	"setu/relay/auth"
)

// readAuth reads the settings of tokens, and returns an error for each that is not what it takes.
// The errors hold no secret, nor what may be one by mistake.
func (c Config) readAuth() (out auth.Config, wrong []error) {
	refuse := func(name string, got any, why error) {
		if why != nil {
			wrong = append(wrong, fmt.Errorf("%w (%w)", bad(name, got), why))
		}
	}
	out = auth.Config{Mode: auth.Mode(c.AuthMode), Issuer: c.AuthIssuer, Audience: c.AuthAudience, MaxTTL: c.AuthMaxTTL}
	var err error
	if c.AuthSecret != "" {
		out.Secrets, err = auth.ParseSecrets(c.AuthSecret)
		refuse("AUTH_SECRET", hiddenText(len(c.AuthSecret)), err)
	}
	if c.AuthPublicKey != "" {
		out.PublicKeys, err = auth.ParsePublicKeys(c.AuthPublicKey)
		refuse("AUTH_PUBLIC_KEY", hiddenText(len(c.AuthPublicKey)), err)
	}
	if c.AuthJWKSURL != "" {
		out.JWKS, err = auth.ParseJWKSURL(c.AuthJWKSURL)
		refuse("AUTH_JWKS_URL", address(c.AuthJWKSURL), err)
	}
	if out.Mode == "" {
		out.Mode = out.DefaultMode()
	} else if len(wrong) == 0 { // else what is missing may be what is wrong
		refuse("AUTH", c.AuthMode, out.Check())
	}
	out.Guests = out.Mode.DefaultGuests()
	if c.GuestRooms != "" {
		if out.Guests, err = auth.ParseRooms(c.GuestRooms); err == nil && out.Mode == auth.Required {
			err = errors.New("nobody is a guest where AUTH is required, as it is by default with a key: set AUTH to optional, or leave this out")
		}
		refuse("GUEST_ROOMS", c.GuestRooms, err)
	}
	return out, wrong
}

// WarnOpen says in the log if everybody may use the rooms, or those that GUEST_ROOMS has: loudly, unless
// only this machine can reach the relay.
func (c Config) WarnOpen(log *slog.Logger) {
	if c.Auth().Mode != auth.Open {
		return
	}
	what := "use all rooms"
	if c.GuestRooms != "" {
		what = "do what GUEST_ROOMS says"
	}
	ip := net.ParseIP(c.Host)
	if c.Host == "localhost" || ip != nil && ip.IsLoopback() {
		log.Info("AUTH is open: everybody on this machine may " + what)
		return
	}
	log.Warn("AUTH is open: everybody who can reach this relay may " + what + ", under any name; set a key, as AUTH_SECRET, or HOST to 127.0.0.1")
}

// hiddenText stands for a text of so many bytes that is not to be shown.
type hiddenText int

func (n hiddenText) String() string { return fmt.Sprintf("(%d bytes, not shown)", int(n)) }

// address returns as much of a URL as holds no secret.
func address(text string) any {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return hiddenText(len(text))
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
