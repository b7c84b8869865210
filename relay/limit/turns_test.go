package limit

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Who wants more than its part of a processor waits, and gets that part; who comes beside it does not wait.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := NewTurns[string]()
		const cost = 100 * time.Microsecond
		began, spent, waited := time.Now(), time.Duration(0), false
		for time.Since(began) < 10*time.Second {
			wait := ts.Of("mallory").Take(cost)
			if waited = waited || wait > 0; wait > 0 {
				<-time.After(wait)
			}
			spent += cost
			if ts.Of("asha").Take(cost/10) > 0 && time.Since(began) > time.Second {
				t.Fatal("one waits for another")
			}
		}
		if most := time.Since(began)/turnParts + turnSlack/turnParts + cost; !waited || spent > most || spent < most*9/10 {
			t.Errorf("%s in %s, not about %s", spent, time.Since(began), most)
		}
	})
}

// Many who wait for one account have their turns one after the other, not all at once.
func TestTurnsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn, cost := NewTurns[int]().Of(1), time.Millisecond
		turn.Take(turnSlack / turnParts)
		for i := range 100 {
			if wait := turn.Take(cost); wait != time.Duration(i)*turnParts*cost {
				t.Fatal("the turn of ", i, " is after ", wait)
			}
		}
	})
}

// What is owed is bounded, and so is the wait.
func TestTurnsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := NewTurns[int]().Of(1)
		for range 1000 {
			if wait := turn.Take(time.Second); wait > maxTurn {
				t.Fatal("a wait of ", wait)
			}
		}
		if owed := turn.Owed(); owed != maxOwed {
			t.Error("it owes ", owed)
		}
		<-time.After(maxOwed)
		if turn.Owed() != 0 || turn.Take(time.Second) != 0 {
			t.Error("it owes for ever")
		}
	})
}

// Accounts on which nothing is owed are forgotten, but for those that are held; of a flood of keys most share one.
func TestTurnsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := NewTurns[int]()
		ts.most = 100
		held := ts.Enter(-1)
		for key := range 1000 {
			ts.Of(key).Take(time.Millisecond)
		}
		if len(ts.keys) != ts.most || ts.Of(5000) != ts.Of(5001) {
			t.Error(len(ts.keys), " accounts")
		}
		<-time.After(maxOwed)
		ts.Of(5000)
		if len(ts.keys) != 2 || ts.Of(-1) != held {
			t.Error(len(ts.keys), " accounts are left of two")
		}
		if held.Crowd().Load() != 1 {
			t.Error("who holds it is not counted")
		}
		held.Leave()
		if held.Crowd().Load() != 0 {
			t.Error("who has left is counted")
		}
	})
}

// No account is one on which nothing waits.
func TestNoTurn(t *testing.T) {
	var turn *Turn
	if turn.Take(time.Hour) > 0 || turn.Owed() > 0 || turn.Crowd() != nil {
		t.Error("it waits")
	}
	turn.Leave()
}

// In a crowd a connection may do less at once, from the moment on that it is one, until it is none.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := Rates{Event: perSecond(10, 100), Bytes: perSecond(10, 1000), Publish: perSecond(10, 100)}
		crowd := new(atomic.Int64)
		c := NewClient(&rates, crowd)
		burst := func(k Kind) (n int) {
			for c.Take(k) == 0 {
				n++
			}
			return n
		}
		for _, test := range []struct {
			crowd         int64
			events, bytes int
		}{{1, 100, 1000}, {Crowd - 1, 100, 1000}, {Crowd, 50, 500}, {3 * Crowd, 25, 250}, {99 * Crowd, 1, 250}, {1, 100, 1000}} {
			crowd.Store(test.crowd)
			c.Take(Event)
			c.Take(Bytes)
			<-time.After(time.Hour) // what a smaller crowd leaves more of comes as fast as the rate says
			if n := burst(Event); n != test.events {
				t.Errorf("%d events at once in a crowd of %d, not %d", n, test.crowd, test.events)
			}
			if n := burst(Bytes); n != test.bytes {
				t.Errorf("%d bytes at once in a crowd of %d, not %d", n, test.crowd, test.bytes)
			}
			if n := burst(Publish); n != 100 {
				t.Errorf("%d messages at once in a crowd of %d", n, test.crowd)
			}
		}
		crowd.Store(Crowd)
		for range refusals.Burst / 2 {
			if c.Refused() {
				t.Fatal("refused too often, already")
			}
		}
		if !c.Refused() {
			t.Error("in a crowd it is refused as often as alone")
		}
	})
}
