package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

// How keys are fetched.
const (
	jwksEvery   = 15 * time.Minute // give or take a tenth
	jwksBetween = time.Minute      // at least, between a fetch and one that a token's kid asks for
	jwksKeep    = 24 * time.Hour   // keys that could not be fetched again are good for this long
	jwksWait    = 2 * time.Second  // that a token waits for a fetch
	jwksTimeout = 10 * time.Second
	jwksRetry   = 2 * time.Second // after a first failure; then twice as long, up to a minute
	maxJWKS     = 1 << 20         // bytes
	maxJWKSKeys = 100
)

// keySet is what was fetched, and when.
type keySet struct {
	keys []key
	at   time.Time
}

// jwks is a JSON Web Key Set at a URL of ours. One goroutine fetches it, now and then; what a token
// says moves the next fetch up, at most, and never says from where.
type jwks struct {
	// Immutable after startJWKS.
	url    *url.URL
	client *http.Client
	log    *slog.Logger
	ctx    context.Context // ends the goroutine
	stop   context.CancelFunc
	done   chan struct{} // closed by the goroutine at its end
	ask    chan struct{} // takes one: a token names a key that is not here

	lost bool // owned by run: it was told that the keys are too old

	set atomic.Pointer[keySet] // nil until the first fetch that went well

	mu       sync.Mutex
	started  time.Time     // guarded by mu: when the last fetch began
	fetching bool          // guarded by mu
	failed   bool          // guarded by mu: the last fetch did
	round    chan struct{} // guarded by mu: closed at the end of the fetch that is next, or under way
}

// startJWKS begins to fetch keys, which close ends.
func startJWKS(u *url.URL, transport http.RoundTripper, log *slog.Logger) *jwks {
	j := &jwks{url: u, log: log.With("jwks", u.Host), done: make(chan struct{}), ask: make(chan struct{}, 1), round: make(chan struct{})}
	j.client = &http.Client{Transport: transport, CheckRedirect: sameHost}
	j.ctx, j.stop = context.WithCancel(context.Background())
	go j.run()
	return j
}

func sameHost(to *http.Request, way []*http.Request) error {
	if to.URL.Scheme != way[0].URL.Scheme || to.URL.Host != way[0].URL.Host {
		return errors.New("it redirects to another host")
	}
	if len(way) > 3 {
		return errors.New("it redirects too often")
	}
	return nil
}

func (j *jwks) close() {
	j.stop()
	<-j.done
}

// current returns the keys that are good now, and whether there is a set at all.
func (j *jwks) current() ([]key, bool) {
	s := j.set.Load()
	if s == nil || time.Since(s.at) > jwksKeep {
		return nil, false
	}
	return s.keys, true
}

// refresh asks for the keys to be fetched again, and waits for a fetch that may begin now, or is
// under way. It reports whether one has brought keys.
func (j *jwks) refresh(ctx context.Context) bool {
	j.mu.Lock()
	round, soon := j.round, j.fetching || time.Since(j.started) >= jwksBetween
	j.mu.Unlock()
	select {
	case j.ask <- struct{}{}:
	default: // somebody has asked
	}
	if !soon {
		return false
	}
	limit := time.NewTimer(jwksWait)
	defer limit.Stop()
	select {
	case <-round:
		j.mu.Lock()
		defer j.mu.Unlock()
		return !j.failed
	case <-limit.C:
	case <-ctx.Done():
	case <-j.done:
	}
	return false
}

// unsure reports whether a key that is not here may be one that could not be fetched.
func (j *jwks) unsure() bool {
	_, ok := j.current()
	j.mu.Lock()
	defer j.mu.Unlock()
	return !ok || j.failed || j.fetching
}

func (j *jwks) run() {
	defer close(j.done)
	for failures := 0; j.ctx.Err() == nil; {
		if j.fetch() {
			failures = 0
			j.sleep(jitter(jwksEvery))
			continue
		}
		j.sleep(jitter(min(jwksRetry<<min(failures, 5), time.Minute)))
		failures++
	}
}

func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5) }

// sleep waits for the next fetch: for d, or less if a token asks for it.
func (j *jwks) sleep(d time.Duration) {
	due := time.NewTimer(d)
	defer due.Stop()
	end, asked := time.Now().Add(d), j.ask
	for {
		select {
		case <-asked:
			asked = nil // once is enough
			j.mu.Lock()
			next := j.started.Add(jwksBetween)
			j.mu.Unlock()
			if next.Before(end) {
				due.Reset(time.Until(next))
			}
		case <-due.C:
			return
		case <-j.ctx.Done():
			return
		}
	}
}

// fetch brings the keys, and reports whether that went well.
func (j *jwks) fetch() bool {
	j.mu.Lock()
	j.started, j.fetching = time.Now(), true
	j.mu.Unlock()
	keys, ignored, err := j.get()
	if err != nil {
		j.tellFailure(err)
	} else {
		j.tellKeys(keys, ignored)
		j.set.Store(&keySet{keys, time.Now()})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fetching, j.failed = false, err != nil
	close(j.round)
	j.round = make(chan struct{})
	return err == nil
}

// tellKeys logs which keys there are, if there were none, or others, or could be none.
func (j *jwks) tellKeys(keys []key, ignored int) {
	old, had := j.current()
	j.mu.Lock()
	failed := j.failed
	j.mu.Unlock()
	same := slices.EqualFunc(old, keys, func(a, b key) bool { return a.id == b.id })
	switch {
	case had && same && !failed:
	case len(keys) == 0:
		j.log.Warn("no key was fetched that checks tokens", "ignored", ignored)
	default:
		j.log.Info("fetched the keys that check tokens", "keys", len(keys), "ignored", ignored)
	}
}

// tellFailure logs that keys could not be fetched: once, and once more if those that there were are
// too old.
func (j *jwks) tellFailure(err error) {
	if j.ctx.Err() != nil {
		return
	}
	j.mu.Lock()
	failed := j.failed
	j.mu.Unlock()
	_, good := j.current()
	tooOld := !good && j.set.Load() != nil
	switch {
	case tooOld && !j.lost:
		j.log.Error("the keys that check tokens are too old: tokens are refused until they can be fetched", "error", err)
	case !failed:
		j.log.Warn("can't fetch the keys that check tokens", "error", err, "kept", jwksKeep)
	default:
		j.log.Debug("can't fetch the keys that check tokens", "error", err)
	}
	j.lost = tooOld
}

// get makes the request.
func (j *jwks) get() (keys []key, ignored int, err error) {
	ctx, cancel := context.WithTimeout(j.ctx, jwksTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := j.client.Do(req)
	if err != nil {
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err // without the URL, whose query is nobody's business
		}
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("it answers with status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > maxJWKS {
		return nil, 0, fmt.Errorf("it answers with more than %d bytes", maxJWKS)
	}
	return parseJWKS(body)
}

// parseJWKS reads the keys of a set that can check tokens, and counts the others.
func parseJWKS(body []byte) (keys []key, ignored int, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, 0, errors.New("it answers with what is no JSON Web Key Set")
	}
	for _, raw := range set.Keys {
		if k, err := parseJWK(raw); err == nil && len(keys) < maxJWKSKeys {
			keys = append(keys, k)
		} else {
			ignored++
		}
	}
	return keys, ignored, nil
}

// parseJWK reads one key. What only whoever signs should have is refused: everybody can read a set.
func parseJWK(raw []byte) (key, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return key{}, err
	}
	if m.KTY == jwkset.KtyOct || m.D != "" || m.K != "" || m.P != "" || m.Q != "" {
		return key{}, errors.New("it is a secret")
	}
	if m.USE != "" && m.USE != jwkset.UseSig || m.KEYOPS != nil && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return key{}, errors.New("it is not for signatures")
	}
	m.X5C, m.X5T, m.X5TS256, m.X5U = nil, "", "", "" // the key itself counts, and no URL is followed
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, err
	}
	k, err := publicKey(parsed.Key())
	if err != nil {
		return key{}, err
	}
	if m.ALG != "" {
		k.algs = slices.DeleteFunc(k.algs, func(alg string) bool { return alg != m.ALG.String() })
	}
	if k.id = m.KID; len(k.algs) == 0 {
		return key{}, errors.New("it is for an algorithm that is not taken")
	}
	return k, nil
}
