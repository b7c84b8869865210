package hook

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// by returns a request of a caller; the app reads from it whose it is.
func by(address string) Request {
	return Request{Type: metrics.HookEvent, ID: NewID(), User: broker.User{ID: address}, Caller: netip.MustParseAddr(address)}
}

// slowFor is an app that does not answer what one caller has it asked.
func slowFor(address string) stub {
	return func(r *http.Request) (*http.Response, error) {
		var q Request
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return nil, err
		}
		if q.User.ID == address {
			return hang(r)
		}
		time.Sleep(10 * time.Millisecond)
		return answer(200, "{}")(r)
	}
}

const (
	evil  = "192.0.2.1"
	good  = "192.0.2.2"
	other = "2001:db8::"
)

// A client that has the app be slow, over as many connections as it likes, costs the others nothing, but for a wait if
// they come while it has had the app to itself.
func TestOneCallerIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stubbed(t, Config{Concurrency: 8, Queue: 20, Timeout: time.Second}, slowFor(evil))
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var evils atomic.Int32
		for range 30 {
			all.Go(func() {
				for ctx.Err() == nil {
					if _, err := s.Ask(ctx, by(evil)); err == nil {
						t.Error("answered")
					}
					evils.Add(1)
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		synctest.Wait()
		for i := range 100 {
			began := time.Now()
			_, err := s.Ask(ctx, by([]string{good, other}[i%2]))
			if took := time.Since(began); i > 0 && (err != nil || took > 20*time.Millisecond) {
				t.Errorf("%d: %v after %v", i, err, took)
			}
			time.Sleep(90 * time.Millisecond)
		}
		if evils.Load() < 100 {
			t.Error("the one who has it be slow was asked for too seldom:", evils.Load())
		}
		cancel()
		all.Wait()
	})
}

// Many at once are given turns one after the other, whoever came first, and one alone has all.
func TestTurnsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(4, 100)
		var order []string
		var held []*caller
		var all sync.WaitGroup
		take := func(from string) {
			all.Go(func() {
				c, err := turns.take(t.Context(), netip.MustParseAddr(from))
				if err != nil {
					t.Error(err)
				}
				order = append(order, from)
				held = append(held, c)
			})
			synctest.Wait()
		}
		for range 6 {
			take(evil)
		}
		if len(held) != 4 {
			t.Errorf("one alone has %d of 4", len(held))
		}
		for range 3 {
			take(good)
		}
		take(other)
		order = nil
		for range 6 {
			c := held[0]
			held = held[1:]
			turns.back(c)
			synctest.Wait()
		}
		want := []string{good, other, evil, good, evil, good}
		if !slices.Equal(order, want) {
			t.Errorf("%v, not %v", order, want)
		}
		for _, c := range held {
			turns.back(c)
		}
		all.Wait()
		turns.close()
		if turns.given != 0 || turns.waiting != 0 || len(turns.line) != 0 {
			t.Errorf("%+v", turns)
		}
	})
}

// Who does not wait any more is passed over, and one caller does not fill the queue.
func TestTurnsForgone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 4)
		first, err := turns.take(t.Context(), netip.MustParseAddr(good))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 10)
		for range 5 {
			go func() {
				_, err := turns.take(ctx, netip.MustParseAddr(evil))
				failed <- err
			}()
		}
		synctest.Wait()
		if len(failed) != 3 || turns.waiting != 2 {
			t.Errorf("%d of 5 were sent away, %d wait", len(failed), turns.waiting)
		}
		cancel()
		synctest.Wait()
		if len(failed) != 5 || turns.waiting != 0 || len(turns.line) != 0 {
			t.Errorf("%d of 5, %d wait, %d in line", len(failed), turns.waiting, len(turns.line))
		}
		turns.back(first)
		turns.close()
		if _, err := turns.take(ctx, netip.MustParseAddr(good)); err == nil {
			t.Error("a turn after the end")
		}
	})
}

// The breaker opens if most of those who ask get no answer, be they one.
func TestBreakerLooksAtCallers(t *testing.T) {
	for _, c := range []struct {
		name  string
		slow  []string
		opens bool
	}{{"all", []string{evil, good, other}, true}, {"two of three", []string{evil, good}, true}, {"one of three", []string{evil}, false}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := stubbed(t, Config{Timeout: 100 * time.Millisecond}, func(r *http.Request) (*http.Response, error) {
					var q Request
					if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
						return nil, err
					}
					for _, slow := range c.slow {
						if q.User.ID == slow {
							return hang(r)
						}
					}
					return answer(200, "{}")(r)
				})
				defer s.Close()
				opened := false
				for i := range 40 {
					from := []string{evil, good, evil, other}[i%4]
					_, err := s.Ask(t.Context(), by(from))
					opened = opened || err != nil && outcome(t, err) == metrics.HookOpen
				}
				if opened != c.opens {
					t.Error("opened:", opened)
				}
			})
		})
	}
}

// An app that answers every other request is asked on.
func TestBreakerOfHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := stubbed(t, Config{Timeout: 100 * time.Millisecond}, func(r *http.Request) (*http.Response, error) {
			if n++; n%2 == 0 {
				return hang(r)
			}
			return answer(200, "{}")(r)
		})
		defer s.Close()
		for range 40 {
			if _, err := s.Send(t.Context(), metrics.HookEvent, NewID(), nil); err != nil && outcome(t, err) == metrics.HookOpen {
				t.Fatal(n, err)
			}
		}
	})
}

// Who was answered a while ago says nothing of an app that is away now.
func TestBreakerForgetsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := answer(200, "{}")
		s := stubbed(t, Config{Timeout: 100 * time.Millisecond}, func(r *http.Request) (*http.Response, error) { return app(r) })
		defer s.Close()
		for _, from := range []string{good, other} {
			if _, err := s.Ask(t.Context(), by(from)); err != nil {
				t.Fatal(err)
			}
		}
		app = hang
		time.Sleep(breakerWindow + time.Second)
		for i := range breakerLeast + 1 {
			_, err := s.Ask(t.Context(), by(evil))
			if open := outcome(t, err) == metrics.HookOpen; open != (i == breakerLeast) {
				t.Error(i, err)
			}
		}
	})
}

// A turn that comes to who has no time left is given to the next.
func TestTurnsTooLate(t *testing.T) {
	turns := newTurns(1, 4)
	for range 200 {
		first, err := turns.take(t.Context(), netip.MustParseAddr(good))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			c, err := turns.take(ctx, netip.MustParseAddr(good))
			if err == nil {
				turns.back(c)
			}
			done <- err
		}()
		go cancel()
		turns.back(first)
		<-done
	}
	turns.close()
	if turns.given != 0 || turns.waiting != 0 {
		t.Errorf("%d given, %d wait", turns.given, turns.waiting)
	}
}

// No more callers are told apart than there is memory for, and those who are gone are forgotten.
func TestCallersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(4, 0)
		at := netip.MustParseAddr(good)
		for range 2 * maxCallers {
			c, err := turns.take(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			turns.back(c)
			at = at.Next()
		}
		if n := len(turns.callers); n > maxCallers+1 {
			t.Error(n)
		}
		time.Sleep(callerTime + time.Second)
		if c, err := turns.take(t.Context(), at); err != nil || len(turns.callers) != 1 {
			t.Error(len(turns.callers), err)
		} else {
			turns.back(c)
		}
	})
}
