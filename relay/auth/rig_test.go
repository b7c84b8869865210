package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	first  = Secret("the first secret that signs what setu token prints")
	second = Secret("the second secret that only checks what is older")
)

// testKeys are keys that cost a while to make.
type testKeys struct {
	rsa, otherRSA, weakRSA *rsa.PrivateKey
	ec, otherEC, p384      *ecdsa.PrivateKey
	ed, otherEd            ed25519.PrivateKey
}

var keys = sync.OnceValue(func() (k testKeys) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.otherRSA, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.weakRSA, _ = rsa.GenerateKey(rand.Reader, 1024)
	k.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.otherEC, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.p384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	_, k.otherEd, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

func pemOf(public any) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

type object = map[string]any

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func jwkRSA(kid string, k *rsa.PrivateKey) object {
	return object{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": "AQAB"}
}

func jwkEC(kid string, k *ecdsa.PrivateKey) object {
	point, _ := k.PublicKey.Bytes()
	half := (len(point) - 1) / 2
	return object{"kty": "EC", "crv": k.Curve.Params().Name, "kid": kid, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
}

func jwkEd(kid string, k ed25519.PrivateKey) object {
	return object{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(k.Public().(ed25519.PublicKey))}
}

// with returns an object with other members.
func with(o object, more object) object {
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	for k, v := range more {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// sign makes a token as somebody else would: whatever is asked for. A payload is an object, or text.
func sign(header object, payload any, key any) string {
	text, ok := payload.(string)
	if !ok {
		raw, _ := json.Marshal(payload)
		text = string(raw)
	}
	raw, _ := json.Marshal(header)
	unsigned := b64(raw) + "." + b64([]byte(text))
	alg, _ := header["alg"].(string)
	method := jwt.GetSigningMethod(alg)
	if method == nil {
		method = jwt.SigningMethodHS256
	}
	if s, ok := key.(Secret); ok {
		key = []byte(s)
	}
	sig, err := method.Sign(unsigned, key)
	if err != nil {
		panic(err)
	}
	return unsigned + "." + b64(sig)
}

// site is where a set of keys is, without a network.
type site struct {
	mu     sync.Mutex
	keys   []object
	body   string        // instead of keys
	status int           // 0: 200
	to     string        // redirects
	delay  time.Duration // before it answers
	err    error
	asked  atomic.Int32
	urls   []string
}

func (s *site) set(change func(s *site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls = append(s.urls, r.URL.String())
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	body := []byte(s.body)
	if s.body == "" {
		body, _ = json.Marshal(object{"keys": s.keys})
	}
	res := &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}
	if s.status == 0 {
		res.StatusCode = http.StatusOK
	}
	if s.to != "" {
		res.StatusCode = http.StatusFound
		res.Header.Set("Location", s.to)
	}
	return res, nil
}

var jwksURL = &url.URL{Scheme: "https", Host: "id.example", Path: "/keys", RawQuery: "tenant=s3cr3t"}

// start returns a Verifier in a bubble, after its first fetch.
func start(t *testing.T, cfg Config, s *site) (*Verifier, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	if s != nil {
		cfg.JWKS = jwksURL
	}
	if cfg.MaxTTL == 0 {
		cfg.MaxTTL = 720 * time.Hour
	}
	v, err := newVerifier(cfg, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	synctest.Wait()
	return v, &out
}

// kindOf returns the kind of an error of Verify, and checks what all of them promise.
func kindOf(t *testing.T, err error) Kind {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrToken) || e.Reason == "" || e.Kind == "" {
		t.Fatalf("an error of another kind: %v", err)
	}
	return e.Kind
}

func claimsFor(sub string) object {
	return object{"sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
}
