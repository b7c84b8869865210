// Package hook asks the app: what a relay cannot decide by itself it asks over HTTP, at HOOK_URL. See
// docs/hooks.md for what is asked, and what may be answered.
//
// A Sender makes the requests: signed by Standard Webhooks, over connections that are kept, bounded in
// number, time and size, behind a circuit breaker. It knows nothing of what they say.
package hook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"setu/relay/metrics"
)

// ErrUnavailable is what every error of a Sender wraps: the app gave no answer that could be used. To try
// again, with the same id, may help.
var ErrUnavailable = errors.New("the app does not answer")

// Error is why there is no answer. It holds nothing of what was asked, and no more of the app's address than
// its host.
type Error struct {
	Outcome metrics.HookOutcome // what it is counted as
	cause   error
}

func (e *Error) Error() string { return ErrUnavailable.Error() + ": " + e.cause.Error() }

// Unwrap returns ErrUnavailable, and the cause.
func (e *Error) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// Causes of an Error.
var (
	errQueue  = errors.New("too many requests wait for it")
	errTurn   = errors.New("there was no turn in time")
	errBroken = errors.New("it has failed too often, and is asked again in a moment")
	errLarge  = errors.New("its answer is too large")
	errClosed = errors.New("this relay is closing")
)

// Answer is what the app answered.
type Answer struct {
	Status int
	Body   []byte
}

// OK reports whether the app took what it was sent: any 2xx.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// isAway reports whether the answer is not the app's, but of whoever stands before it and finds it gone or
// overloaded.
func (a Answer) isAway() bool {
	switch a.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Sender sends to HOOK_URL. It may be used by many goroutines.
type Sender struct {
	// immutable after New
	cfg     Config
	signer  signer
	http    http.RoundTripper
	idle    func() // closes connections on which nothing is under way
	breaker *breaker
	turns   *turns
	life    context.Context // ends with Close
	end     context.CancelFunc
	closing sync.Once

	log        *slog.Logger
	complaints rate.Sometimes // lines of log about answers
}

// New returns a Sender. Close ends what it starts.
func New(cfg Config, log *slog.Logger) (*Sender, error) {
	cfg = cfg.withDefaults()
	signer, err := newSigner(cfg.Secrets)
	if err != nil {
		return nil, err
	}
	t := NewTransport(cfg)
	turns := newTurns(cfg.Concurrency, cfg.Queue)
	s := &Sender{cfg: cfg, signer: signer, http: t, idle: t.CloseIdleConnections, breaker: newBreaker(cfg, turns.mostFail, log), turns: turns,
		log: log, complaints: rate.Sometimes{First: 5, Interval: 10 * time.Second}}
	if cfg.Transport != nil {
		s.http = cfg.Transport
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close cuts what is under way, and waits for it. Send fails from then on.
func (s *Sender) Close() {
	s.closing.Do(func() {
		s.end()
		s.turns.close()
		s.idle()
	})
}

// NewID returns an id for a request: 26 characters that nobody can guess.
func NewID() string { return strings.ToLower(rand.Text()) }

// Send makes one request and returns what came back, whatever its status. It is for the caller to try again,
// with the same id, which tells the app that it is the same request. It waits for its turn and for the
// answer, for Config.Timeout in all or until ctx is done. Every error is an *Error.
func (s *Sender) Send(ctx context.Context, kind metrics.Hook, id string, body []byte) (Answer, error) {
	a, err := s.send(ctx, Request{Type: kind, ID: id}, body)
	s.count(kind, outcomeOf(a, err))
	return a, err
}

// count counts a request.
func (s *Sender) count(kind metrics.Hook, o metrics.HookOutcome) {
	s.cfg.Metrics.Hooks.Of(kind, o).Inc()
}

// outcomeOf returns what an answer is counted as if nobody looks into it.
func outcomeOf(a Answer, err error) metrics.HookOutcome {
	var failed *Error
	switch {
	case errors.As(err, &failed):
		return failed.Outcome
	case a.OK():
		return metrics.HookOK
	}
	return metrics.HookStatus
}

// send is Send, but does not count the outcome.
func (s *Sender) send(ctx context.Context, r Request, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	if s.breaker.isOpen() { // before it takes a turn from others
		return Answer{}, &Error{metrics.HookOpen, errBroken}
	}
	caller, err := s.enter(ctx, r.Caller)
	if err != nil {
		return Answer{}, err
	}
	defer s.turns.back(caller)
	began := time.Now()
	a, err := s.breaker.Execute(func() (Answer, error) {
		a, err := s.try(ctx, r.ID, body)
		if !isGone(err) {
			s.turns.note(caller, !isThere(err))
		}
		return a, err
	})
	s.breaker.say(err)
	var away *awayError
	switch {
	case errors.As(err, &away):
		err = nil
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return a, &Error{metrics.HookOpen, errBroken}
	}
	s.cfg.Metrics.HookSeconds.Of(r.Type).Observe(time.Since(began).Seconds())
	return a, err
}

// enter waits for a turn.
func (s *Sender) enter(ctx context.Context, from netip.Addr) (*caller, error) {
	if s.life.Err() != nil {
		return nil, &Error{metrics.HookFailed, errClosed}
	}
	c, err := s.turns.take(ctx, from)
	if err != nil {
		return nil, &Error{metrics.HookBusy, err}
	}
	return c, nil
}

// awayError tells the breaker of an Answer that isAway.
type awayError struct{ status int }

func (e *awayError) Error() string { return "it is answered for by " + http.StatusText(e.status) }

// try makes the request.
func (s *Sender) try(ctx context.Context, id string, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL.String(), bytes.NewReader(body))
	if err == nil {
		err = s.signer.sign(req.Header, id, time.Now(), body)
	}
	if err != nil {
		return Answer{}, s.failed(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Setu")
	res, err := s.http.RoundTrip(req)
	if err != nil {
		return Answer{}, s.failed(err)
	}
	defer func() { _ = res.Body.Close() }()
	a := Answer{Status: res.StatusCode}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, int64(s.cfg.MaxAnswer)+1)); err != nil {
		return Answer{}, s.failed(err)
	}
	switch {
	case len(a.Body) > s.cfg.MaxAnswer:
		return Answer{}, &Error{metrics.HookBad, errLarge}
	case a.isAway():
		return a, &awayError{a.Status}
	}
	return a, nil
}

// failed returns the Error of a request that got no answer.
func (s *Sender) failed(err error) error {
	var timeout net.Error
	switch {
	case s.life.Err() != nil:
		return &Error{metrics.HookFailed, fmt.Errorf("%w: %w", errClosed, context.Canceled)}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{metrics.HookTimeout, err}
	}
	return &Error{metrics.HookFailed, err}
}
