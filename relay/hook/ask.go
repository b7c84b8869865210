package hook

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"setu/relay/metrics"
)

// retryPause is about how long it takes until a request is tried again that found no app.
const retryPause = 50 * time.Millisecond

// Asks reports whether the app is asked of this kind. A nil Sender asks nothing.
func (s *Sender) Asks(kind metrics.Hook) bool { return s != nil && s.cfg.Events.Has(kind) }

// Ask asks the app and returns what it decided. An error is a *Refusal, or wraps ErrUnavailable.
//
// If there was no connection, or one that broke, or somebody before the app found none, it is tried once
// more, under the same id, if there is time left: all of it takes Config.Timeout at most.
func (s *Sender) Ask(ctx context.Context, r Request) (*Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return nil, &Error{metrics.HookFailed, err}
	}
	for tries := 1; ; tries++ {
		a, err := s.send(ctx, r, body)
		if tries == 1 && isPassing(a, err) && pause(ctx) {
			s.count(r.Type, outcomeOf(a, err))
			continue
		}
		if err != nil {
			s.count(r.Type, outcomeOf(a, err))
			return nil, err
		}
		return s.read(r, a)
	}
}

// isPassing reports whether a request may be answered if it is tried again at once.
func isPassing(a Answer, err error) bool {
	return err == nil && a.isAway() || err != nil && outcomeOf(a, err) == metrics.HookFailed
}

// pause waits before another try. It reports false if there is no time.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(retryPause/2 + rand.N(retryPause)):
		return true
	case <-ctx.Done():
		return false
	}
}

// read reads an answer, and counts and logs what it is.
func (s *Sender) read(r Request, a Answer) (*Reply, error) {
	reply, err := readReply(r.Type, a)
	var refused *Refusal
	switch {
	case err == nil:
		s.count(r.Type, metrics.HookOK)
		return reply, nil
	case errors.As(err, &refused):
		s.count(r.Type, metrics.HookRefused)
		return nil, err
	}
	outcome := metrics.HookStatus
	if a.OK() {
		outcome = metrics.HookBad
	}
	s.count(r.Type, outcome)
	s.complain(r, err)
	return nil, &Error{outcome, err}
}

func (s *Sender) complain(r Request, why error) {
	s.complaints.Do(func() {
		s.log.Warn("the app at HOOK_URL gave an answer that can't be used", "type", r.Type, "id", r.ID, "error", why)
	})
}

// Complain says in the log why a reply that Ask has returned can't be used, and returns an Error.
func (s *Sender) Complain(r Request, why error) error {
	s.complain(r, why)
	return &Error{metrics.HookBad, why}
}
