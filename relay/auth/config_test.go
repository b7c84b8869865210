package auth

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestParseSecrets(t *testing.T) {
	long := strings.Repeat("k", 32)
	for text, want := range map[string]int{long: 1, long + "," + first.plain(): 2, " " + long + " ,\t" + long + "\n": 2} {
		got, err := ParseSecrets(Secret(text))
		if err != nil || len(got) != want || string(got[0]) != long {
			t.Error(len(got), err)
		}
	}
	for text, why := range map[string]string{
		"":                                  "secret 1 of 1 has 0 bytes",
		long[:31]:                           "secret 1 of 1 has 31 bytes",
		long + ",":                          "secret 2 of 2 has 0 bytes",
		long + "," + long[1:]:               "secret 2 of 2 has 31 bytes",
		long + "," + long + "," + long:      "3 parts",
		pemOf(keys().ec.Public()):           "a key in PEM",
		long + "                         ,": "secret 2",
	} {
		_, err := ParseSecrets(Secret(text))
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "kkk") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// plain is for tests alone: nothing else turns a secret into text.
func (s Secret) plain() string { return string(s) }

func certificate(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	long := time.Now().Add(-time.Hour) // it has expired
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: long}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestParsePublicKeys(t *testing.T) {
	k := keys()
	ec := pemOf(k.ec.Public())
	for name, text := range map[string]string{"RSA": pemOf(k.rsa.Public()), "EC": ec, "Ed25519": pemOf(k.ed.Public()), "two": ec + pemOf(k.ed.Public()),
		"a certificate": certificate(t, k.ec), `written with \n`: strings.ReplaceAll(ec, "\n", `\n`), "space around": "\n " + ec + "\n\n"} {
		if got, err := ParsePublicKeys(text); err != nil || len(got) == 0 {
			t.Error(name, err)
		}
	}
	private, _ := x509.MarshalPKCS8PrivateKey(k.ec)
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	for text, why := range map[string]string{
		"":                                    "no PEM",
		"MFkwEwYH":                            "no PEM",
		ec[:60]:                               "no PEM",
		ec + "rest":                           "no PEM",
		ec + ec + ec:                          "3 keys",
		pemOf(k.weakRSA.Public()):             "2048 to 8192 bits, and this one 1024",
		pemOf(k.p384.Public()):                "P-256",
		block("PUBLIC KEY", []byte("x")):      "can't be read",
		block("CERTIFICATE", []byte("x")):     "can't be read",
		block("PRIVATE KEY", private):         "private key",
		block("EC PRIVATE KEY", private):      "private key",
		ec + block("PRIVATE KEY", private):    "private key",
		block("RSA PUBLIC KEY", []byte("x")):  "neither",
		block("OPENSSH PRIVATE KEY", private): "private key",
		certificate(t, k.p384):                "P-256",
	} {
		_, err := ParsePublicKeys(text)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "MF") {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

func TestParseJWKSURL(t *testing.T) {
	for _, text := range []string{"https://id.example/.well-known/jwks.json", "https://id.example:8443/keys?appid=1", "http://localhost:8080/keys", "http://127.0.0.1/keys",
		"http://[::1]:1/keys", "https://10.0.0.1"} {
		if u, err := ParseJWKSURL(text); err != nil || u.String() != text {
			t.Error(text, err)
		}
	}
	for text, why := range map[string]string{
		"":                               "no URL",
		"id.example/keys":                "no URL",
		"https://":                       "no URL",
		"https://:443/keys":              "no URL",
		"https:///keys":                  "no URL",
		"://x":                           "no URL",
		"http://id.example/keys":         "https",
		"http://localhost.example/":      "https",
		"http://10.0.0.1/":               "https",
		"ftp://id.example/":              "https",
		"file:///etc/keys":               "no URL",
		"https://u:s3cr3t@id.example/":   "a user or a password",
		"https://s3cr3t@id.example/":     "a user or a password",
		"https://id.example/#s3cr3t":     "fragment",
		"https://u:s3cr3t\x7f@h/":        "no URL",
		"http://u:s3cr3t@localhost/keys": "a user or a password",
	} {
		_, err := ParseJWKSURL(text)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestModes(t *testing.T) {
	key := Config{Secrets: []Secret{first}}
	if (Config{}).DefaultMode() != Open || key.DefaultMode() != Required || (Config{JWKS: jwksURL}).DefaultMode() != Required {
		t.Error("a key makes tokens required")
	}
	if got := Open.DefaultGuests().Of("lobby"); got != All&^Invisible {
		t.Error("guests of an open relay:", got)
	}
	if !Optional.DefaultGuests().IsZero() || !Required.DefaultGuests().IsZero() {
		t.Error("guests beside tokens may do what they are allowed")
	}
	for _, mode := range []Mode{"", Open, Optional, Required} {
		key.Mode = mode
		if err := key.Check(); err != nil {
			t.Error(mode, err)
		}
		err := Config{Mode: mode}.Check()
		if bad := mode == Optional || mode == Required; bad != (err != nil) || bad && !strings.Contains(err.Error(), "AUTH_SECRET") {
			t.Error(mode, err)
		}
	}
}

func TestSecretInJSON(t *testing.T) {
	raw, err := json.Marshal(Config{Secrets: []Secret{first}})
	if err != nil || !strings.Contains(string(raw), hidden) || strings.Contains(string(raw), "that signs") {
		t.Errorf("%s %v", raw, err)
	}
}
