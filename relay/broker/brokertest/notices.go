package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
)

// noticing are options with which presence is noticed.
func noticing() Options {
	o := defaults()
	o.Notices = broker.NoticeLimits{On: true, Grace: 300 * time.Millisecond, Keep: time.Minute}
	return o
}

// app takes notices from relays, and acks them.
type app struct {
	t *testing.T

	mu    sync.Mutex // guards what follows
	told  []broker.Notice
	lines []string
}

// tellApp has an app told by relays, until the test ends.
func tellApp(t *testing.T, relays ...*Relay) *app {
	a := &app{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	var telling sync.WaitGroup
	for _, r := range relays {
		telling.Go(func() {
			for ctx.Err() == nil {
				some, err := r.TakeNotices(ctx, 3)
				if errors.Is(err, broker.ErrClosed) {
					return
				}
				for _, n := range some {
					a.hear(n)
					_ = r.AckNotice(ctx, n) // else it is told again
				}
			}
		})
	}
	t.Cleanup(func() { cancel(); telling.Wait() })
	return a
}

// line is a notice in short.
func line(n broker.Notice) string {
	if n.Room != "" {
		return n.Kind + " " + n.Room
	}
	return n.Kind + " " + broker.UserID(n.User)
}

func (a *app) hear(n broker.Notice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, was := range a.told {
		if was.Claim.Subject == n.Claim.Subject && was.Fence >= n.Fence && was.ID != n.ID {
			a.t.Errorf("%s has fence %d after %d", line(n), n.Fence, was.Fence)
		}
	}
	if n.ID == "" || n.Fence == 0 || n.At == 0 || n.Fence >= 1<<53 {
		a.t.Errorf("notice %+v", n)
	}
	a.told, a.lines = append(a.told, n), append(a.lines, line(n))
}

func (a *app) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.lines)
}

// hears waits until the app was told just this.
func (a *app) hears(want ...string) {
	a.t.Helper()
	eventually(a.t, func() string { return fmt.Sprintf("told %q, but %q", want, a.heard()) }, func() bool { return len(a.heard()) >= len(want) })
	if got := a.heard(); !slices.Equal(got, want) {
		a.t.Fatalf("told %q, want %q", got, want)
	}
}

// of returns what the app was told of one subject.
func (a *app) of(subject string) (out []broker.Notice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.told {
		if n.Claim.Subject == subject {
			out = append(out, n)
		}
	}
	return out
}

func testNotices(t *testing.T, h Harness) {
	relay := h.New(t, noticing()).Open(t)
	a := tellApp(t, relay)
	began := time.Now()
	relay.Online(user("ann"))
	a.hears("user.online ann")
	if n := a.of(broker.UserSubject("ann"))[0]; n.User != shown("ann") || n.Room != "" || time.UnixMilli(n.At).Sub(began).Abs() > patience {
		t.Errorf("told %+v", n)
	}
	enter(t, relay, "a", "ann", 1)
	a.hears("user.online ann", "room.occupied a")
	enter(t, relay, "a", "ben", 2)
	relay.Online(user("ann")) // again is nothing new
	renamed := user("ann")
	renamed.Name = "Anne"
	relay.Online(renamed)
	relay.Leave("a", "ann")
	left := time.Now()
	relay.Leave("a", "ben")
	a.hears("user.online ann", "room.occupied a", "room.vacated a")
	if d := time.Since(left); d < 300*time.Millisecond {
		t.Errorf("vacated after %v", d)
	}
	relay.Offline("nobody")
	relay.Offline("ann")
	a.hears("user.online ann", "room.occupied a", "room.vacated a", "user.offline ann")
	n := a.of(broker.UserSubject("ann"))[1]
	if n.User != `{"id":"ann","name":"Anne","guest":true}` || time.UnixMilli(n.At).Before(left.Add(-time.Second)) {
		t.Errorf("told %+v", n)
	}
	relay.Online(user("ann"))
	a.hears("user.online ann", "room.occupied a", "room.vacated a", "user.offline ann", "user.online ann")
}

// A return within the grace is silence.
func testNoticesGrace(t *testing.T, h Harness) {
	o := noticing()
	o.Notices.Grace = 8 * time.Second
	relay := h.New(t, o).Open(t)
	a := tellApp(t, relay)
	relay.Online(user("ann"))
	a.hears("user.online ann")
	enter(t, relay, "a", "ann", 1)
	a.hears("user.online ann", "room.occupied a")
	for range 3 {
		relay.Offline("ann")
		relay.Leave("a", "ann")
		membersAre(t, relay, "a")
		relay.Online(user("ann"))
		enter(t, relay, "a", "ann", 1)
	}
	relay.Online(user("ben"))
	a.hears("user.online ann", "room.occupied a", "user.online ben")
	relay.Offline("ben")
	a.hears("user.online ann", "room.occupied a", "user.online ben", "user.offline ben")
}

// Of one user, or room, notices come one at a time and in order; those of others don't wait for them.
func testNoticesInOrder(t *testing.T, h Harness) {
	o := noticing()
	o.Notices.Grace = 0
	relay := h.New(t, o).Open(t)
	takeWithin := func(d time.Duration) []broker.Notice {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		some, _ := relay.TakeNotices(ctx, 10)
		return some
	}
	take := func() []broker.Notice { return takeWithin(patience) }
	enter(t, relay, "a", "ann", 1)
	relay.Leave("a", "ann")
	first := take()
	if len(first) != 1 || line(first[0]) != "room.occupied a" {
		t.Fatalf("took %v", first)
	}
	if more := takeWithin(1500 * time.Millisecond); len(more) != 0 { // the grace is over by now
		t.Fatalf("took %v before the first was settled", more)
	}
	enter(t, relay, "b", "ann", 1)
	other := take()
	if len(other) != 1 || line(other[0]) != "room.occupied b" {
		t.Fatalf("took %v", other)
	}
	if dead, err := relay.RetryNotice(t.Context(), first[0], 0, "500"); dead || err != nil {
		t.Fatal(dead, err)
	}
	again := take()
	if len(again) != 1 || again[0].ID != first[0].ID || again[0].Fence != first[0].Fence || again[0].At != first[0].At {
		t.Fatalf("took %v, and after %v", again, first)
	}
	for range 2 { // again is no harm
		if err := relay.AckNotice(t.Context(), again[0]); err != nil {
			t.Fatal(err)
		}
	}
	next := take()
	if len(next) != 1 || line(next[0]) != "room.vacated a" || next[0].Fence <= first[0].Fence {
		t.Fatalf("took %v", next)
	}
}

// What a relay has taken, and says nothing of, is given to another: not before, and then with all that it was.
func testNoticesTakenAgain(t *testing.T, h Harness) {
	o := noticing()
	o.Notices.Claim = 3 * time.Second
	store := h.New(t, o)
	one, other := store.Open(t), &Relay{}
	if other = one; h.Shared {
		other = store.Open(t)
	}
	one.Online(user("ann"))
	asked := time.Now()
	first, err := one.TakeNotices(t.Context(), 5)
	if len(first) != 1 || err != nil {
		t.Fatal(first, err)
	}
	again, err := other.TakeNotices(t.Context(), 5)
	if len(again) != 1 || again[0].ID != first[0].ID || err != nil {
		t.Fatal(again, err)
	}
	if d := time.Since(asked); d < o.Notices.Claim-clockSlack { // it was taken after that
		t.Errorf("taken again after %v", d)
	}
	if err := one.AckNotice(t.Context(), first[0]); err != nil { // late, and all the same
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.Notices.Claim+1500*time.Millisecond)
	defer cancel()
	if more, _ := other.TakeNotices(ctx, 5); len(more) != 0 {
		t.Errorf("took %v after the ack", more)
	}
}

// What nobody takes in time is dead, and the next goes on. It can be told after all.
func testNoticesDie(t *testing.T, h Harness) {
	o := noticing()
	o.Notices.Grace, o.Notices.Keep = 0, 5*time.Second
	relay := h.New(t, o).Open(t)
	take := func() broker.Notice {
		t.Helper()
		some, err := relay.TakeNotices(t.Context(), 1)
		if len(some) != 1 || err != nil {
			t.Fatal(some, err)
		}
		return some[0]
	}
	enter(t, relay, "a", "ann", 1)
	relay.Leave("a", "ann")
	for _, want := range []string{"room.occupied a", "room.vacated a"} {
		for died, tries := false, 0; !died; tries++ {
			n := take()
			if line(n) != want {
				t.Fatalf("took %v, want %s", n, want)
			}
			var err error
			if died, err = relay.RetryNotice(t.Context(), n, 100*time.Millisecond, "status 500"); died && tries == 0 && want == "room.occupied a" || err != nil {
				t.Fatal(tries, died, err)
			}
		}
	}
	dead, err := relay.DeadNotices(t.Context(), "", 10)
	if len(dead) != 2 || err != nil || line(dead[0].Notice) != "room.vacated a" || line(dead[1].Notice) != "room.occupied a" || dead[0].Why != "status 500" {
		t.Fatalf("dead are %+v, %v", dead, err)
	}
	if rest, err := relay.DeadNotices(t.Context(), dead[0].Dead, 10); len(rest) != 1 || rest[0].ID != dead[1].ID || err != nil {
		t.Errorf("before %s: %+v, %v", dead[0].Dead, rest, err)
	}
	if err := relay.ResendNotice(t.Context(), dead[1].Dead); err != nil {
		t.Fatal(err)
	}
	if n := take(); n.ID != dead[1].ID || n.Fence != dead[1].Fence || n.At != dead[1].At || n.Kind != dead[1].Kind || n.Tried() > o.Notices.Keep*4/5 {
		t.Errorf("sent again %+v, which was %+v", n, dead[1])
	}
	for _, id := range []string{dead[1].Dead, "1-1", "nonsense", ""} {
		if err := relay.ResendNotice(t.Context(), id); !errors.Is(err, broker.ErrNoNotice) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if rest, err := relay.DeadNotices(t.Context(), "", 10); len(rest) != 1 || err != nil {
		t.Errorf("left are %+v, %v", rest, err)
	}
}

// Who is gone for the grace is noticed, also when nobody takes notices meanwhile.
func testNoticesUntaken(t *testing.T, h Harness) {
	relay := h.New(t, noticing()).Open(t)
	enter(t, relay, "a", "ann", 1)
	relay.Leave("a", "ann")
	<-time.After(12 * time.Second) // a relay that has just begun waits for others
	enter(t, relay, "a", "ann", 1)
	tellApp(t, relay).hears("room.occupied a", "room.vacated a", "room.occupied a")
}

// Nothing is noticed unless that is asked for.
func testNoNotices(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	relay.Online(user("ann"))
	enter(t, relay, "a", "ann", 1)
	relay.Leave("a", "ann")
	membersAre(t, relay, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if some, err := relay.TakeNotices(ctx, 1); len(some) != 0 || err == nil {
		t.Error(some, err)
	}
}

// A user is online as long as some relay has them, and is told offline by whichever is left.
func testSharedNotices(t *testing.T, h Harness) {
	o := noticing()
	o.Lease = 5 * time.Second
	store := h.New(t, o)
	one, other, third := store.Open(t), store.Open(t), store.Open(t)
	a := tellApp(t, one, other)
	one.Online(user("ann"))
	a.hears("user.online ann")
	enter(t, third, "a", "ben", 1)
	a.hears("user.online ann", "room.occupied a")
	third.Online(user("ann"))
	third.Online(user("ben"))
	a.hears("user.online ann", "room.occupied a", "user.online ben")
	one.Offline("ann")
	third.Kill()
	eventually(t, func() string { return fmt.Sprint("told ", a.heard()) }, func() bool { return len(a.heard()) >= 6 })
	got := a.heard()[3:]
	slices.Sort(got)
	if want := []string{"room.vacated a", "user.offline ann", "user.offline ben"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// Who moves to another relay, or has a relay close under them and comes back elsewhere, is not told.
func testSharedNoticesMove(t *testing.T, h Harness) {
	store := h.New(t, noticing())
	one, other := store.Open(t), store.Open(t)
	a := tellApp(t, one)
	other.Online(user("ann"))
	a.hears("user.online ann")
	enter(t, other, "a", "ann", 1)
	a.hears("user.online ann", "room.occupied a")
	one.Online(user("ann"))
	enter(t, one, "a", "ann", 1)
	if err := other.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	one.Online(user("ben"))
	a.hears("user.online ann", "room.occupied a", "user.online ben")
	one.Offline("ben")
	a.hears("user.online ann", "room.occupied a", "user.online ben", "user.offline ben")
}

// What the store has lost is told anew, with higher fences, and who left meanwhile is told gone.
func testNoticesFlushed(t *testing.T, h Harness) {
	o := noticing()
	o.Own, o.Lease = true, 5*time.Second
	store := h.New(t, o)
	relay := store.Open(t)
	a := tellApp(t, relay)
	relay.Online(user("ann"))
	relay.Online(user("ben"))
	eventually(t, "both are told", func() bool { return len(a.heard()) == 2 })
	store.Flush()
	relay.Offline("ben")
	ann, ben := broker.UserSubject("ann"), broker.UserSubject("ben")
	eventually(t, func() string { return fmt.Sprint("told ", a.heard()) }, func() bool {
		told := a.of(ben)
		return len(a.of(ann)) >= 2 && told[len(told)-1].Kind == broker.UserOffline
	})
	if told := a.of(ann); told[1].Kind != broker.UserOnline || told[1].Fence <= told[0].Fence {
		t.Errorf("of ann was told %+v", told)
	}
	if told := a.of(ben); told[len(told)-1].User != shown("ben") {
		t.Errorf("of ben was told %+v", told)
	}
}

// Who was recorded, and whose notice the store has lost with that, is told once they have moved to another relay.
func testNoticesLost(t *testing.T, h Harness) {
	o := noticing()
	o.Own, o.Lease, o.Notices.Grace = true, 5*time.Second, 5*time.Second
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	other.Online(user("ann"))
	enter(t, other, "a", "ann", 1) // by then both are recorded
	store.Flush()
	other.Offline("ann")
	other.Leave("a", "ann")
	one.Online(user("ann"))
	_, _ = one.Enter(t.Context(), "a", user("ann")) // made good, if the lease was lost by now
	a := tellApp(t, one, other)
	eventually(t, func() string { return fmt.Sprint("told ", a.heard()) }, func() bool {
		user, room := a.of(broker.UserSubject("ann")), a.of(broker.RoomSubject("a"))
		return len(user) > 0 && len(room) > 0 && user[len(user)-1].Kind == broker.UserOnline && room[len(room)-1].Kind == broker.RoomOccupied
	})
}

// A store that goes away and comes back loses nothing: what was to be told is, and who left meanwhile too.
func testNoticesRestarted(t *testing.T, h Harness) {
	o := noticing()
	o.Own, o.Lease, o.Notices.Grace = true, 5*time.Second, 5*time.Second
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	one.Online(user("ann"))
	other.Online(user("ben"))
	other.Online(user("cleo"))
	enter(t, one, "a", "ann", 1)
	store.Stop()
	one.Online(user("dan"))
	one.Offline("ann")
	other.Offline("cleo")
	one.Online(user("cleo")) // who moved meanwhile
	store.Start()
	a := tellApp(t, one, other)
	last := func(id string) string {
		told := a.of(broker.UserSubject(id))
		if len(told) == 0 {
			return ""
		}
		return told[len(told)-1].Kind
	}
	eventually(t, func() string { return fmt.Sprint("told ", a.heard()) }, func() bool {
		return last("ann") == broker.UserOffline && last("ben") == broker.UserOnline && last("cleo") == broker.UserOnline && last("dan") == broker.UserOnline
	})
	if n := len(a.of(broker.UserSubject("cleo"))); n != 1 {
		t.Errorf("who moved was told of: %q", a.heard())
	}
}
