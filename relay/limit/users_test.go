package limit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// fleet is the limits of several relays, which tell one another.
type fleet []*Users

func newFleet(n int, rates Rates, most int) (f fleet) {
	for i := range n {
		f = append(f, NewUsers(fmt.Sprint("relay-", i), rates, most))
	}
	return f
}

func (f fleet) report() {
	for _, from := range f {
		if body := from.Report(); body != nil {
			for _, to := range f {
				to.Apply(body)
			}
		}
	}
}

// A user on three relays who takes all that there is has at once three bursts and what two intervals
// bring, and in the long run the limit.
func TestUsersOverRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const relays, per, burst, seconds = 3, 20, 40, 60
		f := newFleet(relays, Rates{Publish: perSecond(per, burst)}, 0)
		var us []*User
		for _, relay := range f {
			us = append(us, relay.Enter("mallory", ""))
		}
		total, worst := 0, 0
		for second := range seconds {
			for range 100 {
				for _, u := range us {
					if u.Take(Publish) == 0 {
						total++
					}
				}
				<-time.After(10 * time.Millisecond)
			}
			f.report()
			worst = max(worst, total-(second+1)*per)
		}
		if most := relays * (burst + 2*per); worst > most {
			t.Errorf("at once %d more than the rate, not %d", worst, most)
		}
		if most := burst + per*seconds*12/10 + 2*per*relays; total > most {
			t.Errorf("%d in %d s, not %d", total, seconds, most)
		}
		if total < per*seconds*8/10 {
			t.Errorf("%d in %d s: nobody is to have less than the limit", total, seconds)
		}
		t.Logf("%d relays, %d/s:%d: %d in %d s, at most %d more than the rate", relays, per, burst, total, seconds, worst)
	})
}

// What is too little to be told is the error that lasts.
func TestUsersBelowTheShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3, Rates{Publish: perSecond(100, 100)}, 0)
		quiet := f[0].Enter("asha", "")
		for range 9 {
			quiet.Take(Publish)
		}
		if body := f[0].Report(); body != nil {
			t.Error("told of 9 of 100: ", string(body))
		}
		for range 10 {
			quiet.Take(Publish)
		}
		if f[0].Report() == nil {
			t.Error("not told of 10 of 100")
		}
		if body := f[0].Report(); body != nil {
			t.Error("told twice: ", string(body))
		}
	})
}

func TestUserConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(2, Rates{}, 10)
		var here []*User
		for i := range 6 {
			here = append(here, f[0].Enter("asha", fmt.Sprint("here ", i)))
		}
		f.report()
		for i := range 5 {
			if u := f[1].Enter("asha", fmt.Sprint("there ", i)); (u != nil) != (i < 4) {
				t.Fatal("connection ", i, " elsewhere: ", u != nil)
			}
		}
		for i, u := range here {
			u.Leave(fmt.Sprint("here ", i))
		}
		<-time.After(reportHolds)
		f.report()
		if f[1].Enter("asha", "one more") == nil {
			t.Fatal("connections count that are gone")
		}
		if len(f[0].users) > 0 || len(f[1].others) > 0 {
			t.Fatal("who is gone is remembered: ", f[0].users, f[1].others)
		}
	})
}

// The connections of one session count as one for the next of it, which has their place.
func TestUserConnectionsOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(2, Rates{}, 2)
		u := f[0].Enter("asha", "one")
		f[0].Enter("asha", "two")
		for range 2 {
			if f[0].Enter("asha", "one") == nil {
				t.Fatal("no place for who has one")
			}
		}
		if f[0].Enter("asha", "three") != nil {
			t.Fatal("a place for a third")
		}
		for range 3 {
			u.Leave("one")
		}
		if f[0].Enter("asha", "three") == nil {
			t.Fatal("no place that was left")
		}
		if f[0].Doubt("asha") != 0 || f[1].Doubt("asha") != 0 {
			t.Error("in doubt before anybody told of them")
		}
		f.report()
		if f[0].Doubt("asha") != 0 || f[1].Doubt("asha") != reportHolds+ReportInterval {
			t.Error("in doubt for ", f[0].Doubt("asha"), " here, for ", f[1].Doubt("asha"), " elsewhere")
		}
		<-time.After(reportHolds)
		if f[1].Doubt("asha") != 0 {
			t.Error("in doubt for ever")
		}
	})
}

// A user who comes back at once has the buckets that they left.
func TestUserComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us := NewUsers("here", Rates{Publish: perSecond(1, 5)}, 0)
		for round := range 3 {
			u := us.Enter("mallory", "")
			for i := range 6 {
				if ok := u.Take(Publish) == 0; ok != (round == 0 && i < 5) {
					t.Fatal("round ", round, ", publish ", i, ": ", ok)
				}
			}
			u.Leave("")
			us.Report()
		}
		<-time.After(6 * time.Second)
		us.Report()
		if len(us.users) > 0 || len(us.left) > 0 {
			t.Fatal("a user whose buckets are full is remembered")
		}
	})
}

// A report that nobody of the fleet wrote does no harm, and one that claims too much is bounded.
func TestApplyWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us := NewUsers("here", Rates{Publish: perSecond(10, 10)}, 5)
		u := us.Enter("asha", "")
		for _, body := range []string{"", "x", "{}", `{"from":"here","uses":[{"id":"asha","used":[999]}]}`,
			`{"from":"x","uses":[{"id":"asha","used":[-5,0,0,0],"connections":-3}]}`} {
			us.Apply([]byte(body))
		}
		if u.Take(Publish) != 0 {
			t.Fatal("limited")
		}
		us.Apply([]byte(`{"from":"x","uses":[{"id":"asha","used":[2000000000,0,0,0]}]}`))
		if wait := u.Take(Publish); wait <= 0 || wait > maxDebt+time.Second {
			t.Fatal("wait for ", wait)
		}
	})
}

// What is full again is forgotten, and what is owed is not.
func TestTidy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := Rates{Publish: {Events: 10, Per: time.Second, Burst: 10}, Join: {Events: 1, Per: time.Hour, Burst: 1}}
		c := NewClient(&rates, nil)
		if c.Take(Publish) > 0 || c.Take(Join) > 0 {
			t.Fatal("refused")
		}
		<-time.After(time.Second)
		c.Tidy(time.Now())
		if c.buckets[Publish] != nil || c.buckets[Join] == nil {
			t.Error(c.buckets)
		}
		if c.Take(Publish) > 0 || c.Take(Join) == 0 {
			t.Error("another allowance")
		}
	})
}
