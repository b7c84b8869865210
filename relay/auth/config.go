package auth

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// Mode says who may connect: AUTH.
type Mode string

// The modes.
const (
	Open     Mode = "open"     // guests and, if there is a key, users with a token
	Optional Mode = "optional" // the same, and guests may do what GUEST_ROOMS says
	Required Mode = "required" // users with a token
)

// Config is how tokens are checked, and signed. Without any key no token is accepted.
type Config struct {
	Mode       Mode
	Secrets    []Secret // both check, the first signs
	PublicKeys []PublicKey
	JWKS       *url.URL // of a JSON Web Key Set; nil: none
	Issuer     string   // what iss must be; empty: anything
	Audience   string   // what must be in aud; empty: anything
	MaxTTL     time.Duration
	Guests     Rooms // what guests may do
}

// DefaultMode returns the mode that holds if none is set: whoever sets a key wants tokens.
func (c Config) DefaultMode() Mode {
	if c.hasKey() {
		return Required
	}
	return Open
}

// DefaultGuests returns what guests may do if nothing is set: everything if tokens make no
// difference, and nothing where they do.
func (m Mode) DefaultGuests() Rooms {
	if m == Open {
		return Rooms{prefixes: []rule{{"", All &^ Invisible}}}
	}
	return Rooms{}
}

func (c Config) hasKey() bool { return len(c.Secrets)+len(c.PublicKeys) > 0 || c.JWKS != nil }

// Check returns an error if the mode wants tokens that no key could check.
func (c Config) Check() error {
	if (c.Mode == Required || c.Mode == Optional) && !c.hasKey() {
		return errors.New("no key is set: AUTH_SECRET, AUTH_PUBLIC_KEY or AUTH_JWKS_URL")
	}
	return nil
}

// Secret is a text that nothing prints.
type Secret string

const hidden = "(not shown)"

// Format prints no secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText writes no secret into JSON, or a log.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// ParseSecrets reads one secret, or two with a comma between. Space around them is not theirs.
func ParseSecrets(text Secret) ([]Secret, error) {
	var out []Secret
	parts := strings.Split(string(text), ",")
	if len(parts) > 2 {
		return nil, fmt.Errorf("it has %d parts: one secret, or two with a comma between", len(parts))
	}
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if len(part) < minSecret {
			return nil, fmt.Errorf("secret %d of %d has %d bytes", i+1, len(parts), len(part))
		}
		if strings.Contains(part, "-----BEGIN") {
			return nil, errors.New("it is a key in PEM: public keys are AUTH_PUBLIC_KEY")
		}
		out = append(out, Secret(part))
	}
	return out, nil
}

// PublicKey is one of AUTH_PUBLIC_KEY.
type PublicKey struct{ key key }

// ParsePublicKeys reads one public key in PEM, or two while keys change: PKIX or X.509, whose dates
// don't matter. Line ends may be written as \n, as some platforms' settings need it.
func ParsePublicKeys(text string) (out []PublicKey, err error) {
	rest := []byte(strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n")))
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		k, err := parsePublicKey(block)
		if err != nil {
			return nil, err
		}
		out = append(out, PublicKey{k})
	}
	switch {
	case len(rest) > 0 || len(out) == 0:
		return nil, errors.New("it is no PEM: -----BEGIN PUBLIC KEY----- and so on")
	case len(out) > 2:
		return nil, fmt.Errorf("it has %d keys: one, or two", len(out))
	}
	return out, nil
}

func parsePublicKey(block *pem.Block) (key, error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return key{}, errors.New("the public key can't be read")
		}
		return publicKey(public)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return key{}, errors.New("the certificate can't be read")
		}
		return publicKey(cert.PublicKey)
	}
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return key{}, errors.New("it is a private key, which only whoever signs should have")
	}
	return key{}, errors.New("it is neither a PUBLIC KEY nor a CERTIFICATE")
}

// ParseJWKSURL reads the address of a JSON Web Key Set. What is read from there decides who is let
// in, so it comes over TLS, or from this machine.
func ParseJWKSURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("it is no URL")
	case u.User != nil:
		return nil, errors.New("it holds a user or a password")
	case u.Fragment != "":
		return nil, errors.New("it has a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()), u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("it is https, or http on this machine")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
