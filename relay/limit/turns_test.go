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
			waited = ts.Of("mallory").Await(nil, cost) || waited
			spent += cost
			if ts.Of("asha").Await(nil, cost/10) {
				t.Fatal("one waits for another")
			}
		}
		if most := time.Since(began)/turnParts + turnSlack/turnParts + cost; !waited || spent > most || spent < most*9/10 {
			t.Errorf("%s in %s, not about %s", spent, time.Since(began), most)
		}
	})
}

// Many who wait for one account have their turns one after the other, not all at once, in the order in which they came.
func TestTurnsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn, cost := NewTurns[int]().Of(1), time.Millisecond
		turn.Take(nil, turnSlack/turnParts)
		began := time.Now()
		served := make(chan int, 2000)
		for i := range cap(served) {
			go func() {
				turn.Await(new(Flow), cost)
				served <- i
			}()
			synctest.Wait()
		}
		for i := range 100 {
			if synctest.Wait(); len(served) != 1 || <-served != i {
				t.Fatal("after ", time.Since(began), " it was not the turn of ", i)
			}
			<-time.After(turnParts * cost)
		}
		<-time.After(2000 * turnParts * cost)
	})
}

// Who wants little is served beside many who want all that they can get, and among those who are not known
// everybody is, in time.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn, cost := NewTurns[int]().Of(1), 100*time.Microsecond
		var over atomic.Bool
		for range 500 {
			go func() {
				for f := new(Flow); !over.Load(); {
					turn.Await(f, cost)
				}
			}()
		}
		<-time.After(time.Second)
		for name, f := range map[string]*Flow{"one": {}, "nobody's": nil} {
			for range 20 {
				began := time.Now()
				turn.Await(f, cost)
				if took := time.Since(began); took > 3*turnParts*cost {
					t.Fatalf("%s waits for %s", name, took)
				}
				<-time.After(1000 * turnParts * cost) // half of what each of the many has
			}
		}
		over.Store(true)
		<-time.After(time.Second)
	})
}

// However many come of which nothing is known, those that are known are served beside them.
func TestTurnsOfNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn, cost := NewTurns[int]().Of(1), 100*time.Microsecond
		var over atomic.Bool
		for range 500 {
			go func() {
				for !over.Load() {
					turn.Await(nil, cost)
				}
			}()
		}
		<-time.After(time.Second)
		for f := new(Flow); !over.Load(); {
			began := time.Now()
			for range 10 {
				turn.Await(f, cost)
			}
			if took := time.Since(began); took > 10*(newcomers+2)*turnParts*cost {
				t.Errorf("ten turns took %s", took)
			}
			over.Store(true)
		}
		<-time.After(time.Second)
	})
}

// Who is late, since the machine had else to do, is served at once, but not as many as could have been meanwhile.
func TestTurnsAreNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn, cost := NewTurns[int]().Of(1), 100*time.Microsecond
		var served atomic.Int32
		turn.Take(nil, 2*time.Millisecond)
		for range 1000 {
			go func() {
				turn.Await(new(Flow), cost)
				served.Add(1)
			}()
		}
		synctest.Wait()
		turn.mu.Lock()
		turn.due -= 50 * time.Millisecond // as if the timer came so late
		turn.arm(time.Since(turn.began))
		turn.mu.Unlock()
		synctest.Wait()
		if n, most := int(served.Load()), int(turnLate/turnParts/cost)+1; n == 0 || n > most {
			t.Error(n, " turns at once, not ", most)
		}
		<-time.After(time.Second)
	})
}

// What is owed is bounded, and so is how long the next one waits for it.
func TestTurnsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := NewTurns[int]().Of(1)
		for range 1000 {
			turn.Take(nil, time.Second)
		}
		if owed := turn.Owed(); owed != maxOwed {
			t.Error("it owes ", owed)
		}
		began := time.Now()
		if turn.Await(new(Flow), time.Microsecond); time.Since(began) != maxTurn {
			t.Error("a wait of ", time.Since(began))
		}
		go turn.Await(new(Flow), time.Second)
		if synctest.Wait(); turn.Owed() < maxOwed-maxTurn+turnParts*time.Second {
			t.Error("who waits is not counted in ", turn.Owed())
		}
		<-time.After(2 * maxOwed)
		if turn.Owed() != 0 || turn.Await(new(Flow), time.Second) {
			t.Error("it owes for ever")
		}
	})
}

// Who has gone waits no more, and keeps nobody.
func TestForgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn, gone := NewTurns[int]().Of(1), new(Flow)
		turn.Take(nil, time.Hour)
		began := time.Now()
		for range 10 {
			go turn.Await(gone, time.Second)
			go turn.Await(new(Flow), time.Microsecond)
		}
		synctest.Wait()
		turn.Forgo(gone)
		waiting := func() (int, time.Duration) {
			turn.mu.Lock()
			defer turn.mu.Unlock()
			return len(turn.queue), turn.queued
		}
		waits := turn.Await(gone, time.Second)
		if n, price := waiting(); waits || time.Since(began) > 0 || n != 10 || price != 10*time.Microsecond {
			t.Error(n, " wait yet, for ", price)
		}
		<-time.After(2 * maxOwed)
		if n, _ := waiting(); n > 0 {
			t.Error(n, " wait for ever")
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
			ts.Of(key).Take(nil, time.Millisecond)
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
	turn.Take(nil, time.Hour)
	turn.Forgo(new(Flow))
	if turn.Await(nil, time.Hour) || turn.Owed() > 0 || turn.Crowd() != nil {
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
