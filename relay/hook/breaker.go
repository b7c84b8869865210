package hook

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"setu/relay/metrics"
)

// The circuit breaker: an app that fails more often than not isn't asked for a moment, and then by one
// request at a time, until one is answered. What an app fails by is that it is not there, or too slow: one
// that answers, and be it nonsense or 500, is there, and what one client makes it stumble over is no other
// client's affair.
const (
	breakerWindow = 10 * time.Second // over which failures are counted
	breakerLeast  = 10               // requests in it before they say anything
	breakerOpen   = 2 * time.Second  // for which nothing is asked
)

// breaker is a circuit breaker that says in the log, and in a gauge, how it is.
type breaker struct {
	*gobreaker.CircuitBreaker[Answer]
	log   *slog.Logger
	lane  metrics.HookLane
	state atomic.Int32 // as it is
	down  atomic.Bool  // as the log says
}

// newBreaker returns one that opens only if mostFail, too, reports that it should.
func newBreaker(cfg Config, mostFail func() bool, log *slog.Logger) *breaker {
	b := &breaker{log: log, lane: cfg.Lane}
	gauge := cfg.Metrics.HookBreaker.Of(cfg.Lane)
	gauge.Set(0)
	b.CircuitBreaker = gobreaker.NewCircuitBreaker[Answer](gobreaker.Settings{
		Interval:     breakerWindow,
		BucketPeriod: breakerWindow / 10,
		Timeout:      breakerOpen,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			return n.Requests >= breakerLeast && 2*n.TotalFailures > n.Requests && mostFail()
		},
		IsSuccessful: isThere,
		IsExcluded:   isGone,
		OnStateChange: func(_ string, _, to gobreaker.State) { // under its lock
			b.state.Store(int32(to))
			if to == gobreaker.StateClosed {
				gauge.Set(0)
			} else {
				gauge.Set(1)
			}
		},
	})
	return b
}

// isThere reports whether the app has answered.
func isThere(err error) bool {
	var failed *Error
	return err == nil || errors.As(err, &failed) && failed.Outcome == metrics.HookBad
}

// isGone reports whether who asked has not waited for an answer.
func isGone(err error) bool { return errors.Is(err, context.Canceled) }

// isOpen reports whether nothing is asked now.
func (b *breaker) isOpen() bool { return b.State() == gobreaker.StateOpen }

// say logs once that the app is down, and once that it is back.
func (b *breaker) say(err error) {
	switch down := gobreaker.State(b.state.Load()) != gobreaker.StateClosed; {
	case down && b.down.CompareAndSwap(false, true):
		b.log.Warn("the app at HOOK_URL does not answer: it is asked again every few seconds", "lane", b.lane, "error", err)
	case !down && b.down.CompareAndSwap(true, false):
		b.log.Info("the app at HOOK_URL answers again", "lane", b.lane)
	}
}
