package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
)

// Bounds of keys, and of how many are tried for one token.
const (
	minSecret = 32 // bytes
	minRSA    = 2048
	maxRSA    = 8192 // bits: checking takes longer with each
	maxTried  = 16
)

// key checks signatures, of its own algorithms alone: a public key is no secret for an HMAC,
// whatever a token says of itself.
type key struct {
	id     string   // its kid; empty: it has none, and fits any
	algs   []string // that it takes
	verify any      // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

func secretKey(s Secret) key {
	return key{algs: []string{"HS256", "HS384", "HS512"}, verify: []byte(s)}
}

// publicKey returns the key of a public key, or why it can't be one.
func publicKey(public any) (key, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSA || n > maxRSA {
			return key{}, fmt.Errorf("an RSA key has %d to %d bits, and this one %d", minRSA, maxRSA, n)
		}
		return key{algs: []string{"RS256", "PS256"}, verify: p}, nil
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return key{}, errors.New("an EC key is of the curve P-256")
		}
		if _, err := p.ECDH(); err != nil {
			return key{}, errors.New("the EC key is not a point of its curve")
		}
		return key{algs: []string{"ES256"}, verify: p}, nil
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return key{}, errors.New("an Ed25519 key has 32 bytes")
		}
		return key{algs: []string{"EdDSA"}, verify: p}, nil
	}
	return key{}, errors.New("it is neither RSA, nor EC P-256, nor Ed25519")
}

// algorithms returns all that a token may be signed by.
func algorithms() []string {
	return []string{"HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"}
}

// symmetric reports whether an algorithm checks by what it signs with.
func symmetric(alg string) bool { return slices.Contains(secretKey("").algs, alg) }

// pick returns the keys that may have signed a token, and whether one of them has its kid. A kid
// that is known decides alone: a token that names a key is not checked by another.
func pick(keys []key, alg, kid string) (fit []key, known bool) {
	if kid != "" {
		known = slices.ContainsFunc(keys, func(k key) bool { return k.id == kid })
	}
	for _, k := range keys {
		if known && k.id != kid || kid != "" && !known && k.id != "" || !slices.Contains(k.algs, alg) {
			continue
		}
		if fit = append(fit, k); len(fit) == maxTried {
			break
		}
	}
	return fit, known
}
