package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// A join of a room that is live here reads the past, makes a membership at one offset, has the store
// told of user and membership, and then answers.
func TestJoinOrder(t *testing.T) {
	f := &laggard{fake: newFake(t, limits)}
	h := NewHub(f, limits)
	last := publishMany(t, h, "room", 3)[2]
	m := guest("m")
	stay := guest("stay")
	join(t, h, "room", stay, JoinOptions{})
	saved, entered := make(chan broker.Offset, 1), make(chan struct{})
	f.enter = func() {
		f.enter = nil
		publish(t, h, "room", "meanwhile", "1")
		if got := m.got("message"); len(got) != 1 || !strings.Contains(got[0], `"seq":4,`) {
			t.Error("a member from here on: ", got)
		}
		close(entered)
		if got := <-saved; got != last { // Save runs meanwhile
			t.Error("saved at ", got)
		}
	}
	j := join(t, h, "room", m, JoinOptions{History: 9, Presence: true, Save: func(_ context.Context, since broker.Offset) error {
		<-entered
		saved <- since
		return broker.ErrUnavailable
	}})
	if j.Offset != last || !slices.Equal(seqs(t, j.Messages), upTo(1, 3)) || j.Count != 2 || len(j.Members) != 2 {
		t.Errorf("%+v", j)
	}
	if tail, live := h.Tail("room"); !live || tail.Seq != 4 {
		t.Error(tail, live)
	}

	// Joined again: one membership, and an answer that is made at the end.
	f.enter = func() { publish(t, h, "room", "again", "1") }
	j = join(t, h, "room", m, JoinOptions{History: 2})
	if got := m.got("message"); len(got) != 1 || j.Offset.Seq != 5 || !slices.Equal(seqs(t, j.Messages), upTo(4, 5)) {
		t.Errorf("%d frames, %+v", len(got), j)
	}
	h.Wait() // opening a room has a reference of its own
	r := h.room("room")
	if r.refs != 2 || len(r.list) != 2 || r.roster.users[m.user.ID].connections != 1 || r.roster.asking != 0 {
		t.Errorf("%d references, %d members, %d asking", r.refs, len(r.list), r.roster.asking)
	}
	h.Leave("room", m)
	h.Leave("room", stay)
	if _, live := h.Tail("room"); live || h.count() != 0 {
		t.Error("the room stays")
	}
}

// A join that is given up leaves nothing behind, whichever step it is in.
func TestJoinIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &laggard{fake: newFake(t, limits)}
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		stay, m := guest("stay"), guest("m")
		tail := publishMany(t, h, "room", 1)[0]
		join(t, h, "room", stay, JoinOptions{})
		check := func(what string, ctx context.Context, o JoinOptions) {
			t.Helper()
			err := h.Join(ctx, "room", m, o, func(Joined) { t.Error(what, ": answered") })
			synctest.Wait() // for what it has others do
			r := h.room("room")
			if !errors.Is(err, context.Canceled) || r.refs != 1 || len(r.list) != 1 || len(r.roster.users) != 1 || len(r.members) != 1 || len(r.roster.log.open) != 0 || r.roster.asking != 0 {
				t.Errorf("%s: %v, %d references, %d members, %d users, %d reading, %d asking", what, err, r.refs, len(r.list), len(r.roster.users), len(r.roster.log.open), r.roster.asking)
			}
			if users, n, _ := f.Memory.Members(context.Background(), "room", 9); n != 1 {
				t.Error(what, ": ghosts: ", users)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		tail.Pos, tail.Seq = tail.Pos+9, tail.Seq+9
		f.set(func() {
			f.reach = func(ctx context.Context, _ broker.Offset) error { <-ctx.Done(); return ctx.Err() }
		})
		check("while it waits for a message", ctx, JoinOptions{HasSince: true, Since: tail})

		ctx, cancel = context.WithCancel(t.Context())
		f.enter = cancel
		check("while it enters", ctx, JoinOptions{Presence: true})
		f.enter = nil

		ctx, cancel = context.WithCancel(t.Context())
		check("while it is saved", ctx, JoinOptions{Save: func(context.Context, broker.Offset) error { cancel(); return nil }})

		// One that was a member stays one.
		join(t, h, "room", m, JoinOptions{Presence: true})
		ctx, cancel = context.WithCancel(t.Context())
		f.enter = cancel
		if err := h.Join(ctx, "room", m, JoinOptions{}, func(Joined) { t.Error("answered") }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		f.enter = nil
		if r := h.room("room"); r.refs != 2 || len(r.list) != 2 || r.roster.users[m.user.ID].connections != 1 || r.roster.asking != 1 {
			t.Errorf("again: %d references, %d members, %d asking", r.refs, len(r.list), r.roster.asking)
		}
		h.Leave("room", m)
		h.Leave("room", stay)
		if h.count() != 0 {
			t.Error("the room stays")
		}
	})
}

// A replay is sent as frames, one by one, so neither the limits of a packet nor anybody's literal
// placeholders cut it short.
func TestReplay(t *testing.T) {
	h, _ := newTestHub(t)
	first := publish(t, h, "room", "p1", `"one"`)
	for i := range 3 {
		publishPhoto(t, h, fmt.Sprint("b", i), 4)
	}
	publish(t, h, "room", "x", `{"_placeholder":true,"num":5}`)
	join(t, h, "room", guest("stay"), JoinOptions{})
	publishPhoto(t, h, "b3", 4)
	r := h.room("room")
	r.mu.Lock()
	r.ring.base, r.ring.whole, r.ring.entries = r.ring.entries[3].Offset, false, r.ring.entries[4:]
	r.mu.Unlock()
	moment := broker.Offset{Epoch: first.Epoch, Pos: first.Pos, At: time.Now().UnixMilli()}
	for _, since := range []broker.Offset{first, moment} {
		m := guest("m")
		j := join(t, h, "room", m, JoinOptions{HasSince: true, Since: since, Vouched: true, Presence: true, Replay: true})
		frames := j.Frames()
		if !j.Recovered || len(frames) != 5 || len(j.Members) != 2 {
			t.Fatalf("recovered %v, %d frames, %d members", j.Recovered, len(frames), len(j.Members))
		}
		for i, f := range frames {
			binary := strings.HasPrefix(string(f.Packet()), `454-["message",`)
			if f.Pos() != first.Pos+uint64(i)+1 || binary != (i != 3) {
				t.Errorf("frame %d at %d: %s", i, f.Pos(), f.Packet())
			}
		}
		if frames[3] != r.ring.entries[0].frame || frames[4] != r.ring.entries[1].frame {
			t.Error("the ring's frames are not shared")
		}
		h.Leave("room", m)
	}
	if j := join(t, h, "room", guest("n"), JoinOptions{HasSince: true, Since: first, Presence: true}); j.Recovered {
		t.Error("as one packet it does not fit")
	}
}

func TestReplayIsBounded(t *testing.T) {
	h, _ := newTestHub(t)
	first := publish(t, h, "room", "p1", `"one"`)
	join(t, h, "room", guest("stay"), JoinOptions{})
	big := func(id string, n int) {
		body := Body(id, asha, json.RawMessage(photo(1)), make([]byte, n))
		h.Publish(t.Context(), broker.Publication{Room: "room", User: "p", ID: id, Body: body})
	}
	big("b1", MaxReplay/2-1000)
	second, _ := h.Tail("room")
	big("b2", MaxReplay/2-1000)
	o := JoinOptions{HasSince: true, Since: first, Replay: true}
	if j := join(t, h, "room", guest("a"), o); !j.Recovered || len(j.Frames()) != 2 {
		t.Error("two halves fit: ", j.Recovered, len(j.Frames()))
	}
	big("b3", 2000)
	if j := join(t, h, "room", guest("b"), o); j.Recovered || len(j.Frames()) != 0 {
		t.Error("and no more: ", j.Recovered, len(j.Frames()))
	}
	o.Since = second
	if j := join(t, h, "room", guest("c"), o); !j.Recovered || len(j.Frames()) != 2 {
		t.Error("the second half and the rest: ", j.Recovered, len(j.Frames()))
	}
}

// A moment is judged by what is stored on either side of it.
func TestReplayFromAMoment(t *testing.T) {
	h, f := newTestHub(t)
	var all []broker.Offset
	for range 40 {
		publishMany(t, h, "elsewhere", 1) // so that there are positions between
		all = append(all, publishMany(t, h, "room", 1)[0])
	}
	publishMany(t, h, "elsewhere", 10)
	join(t, h, "room", guest("stay"), JoinOptions{})
	r := h.room("room")
	r.mu.Lock()
	r.ring.base, r.ring.whole, r.ring.entries = r.ring.entries[29].Offset, false, r.ring.entries[30:]
	r.mu.Unlock()
	at := func(pos uint64, age time.Duration) broker.Offset {
		return broker.Offset{Epoch: all[0].Epoch, Pos: pos, At: time.Now().Add(-age).UnixMilli()}
	}
	for name, row := range map[string]struct {
		since broker.Offset
		want  []uint64
		lost  bool
	}{
		"at the newest":                   {at(all[39].Pos, 0), nil, false},
		"after all":                       {at(all[39].Pos+5, 0), nil, false},
		"just before the newest":          {at(all[39].Pos-1, 0), upTo(40, 40), false},
		"at an entry":                     {at(all[34].Pos, 0), upTo(36, 40), false},
		"between entries":                 {at(all[35].Pos-1, 0), upTo(36, 40), false},
		"between entries, long ago":       {at(all[35].Pos-1, 2*time.Hour), upTo(36, 40), false},
		"at the oldest entry":             {at(all[30].Pos, 0), upTo(32, 40), false},
		"between base and oldest":         {at(all[30].Pos-1, 0), upTo(31, 40), false},
		"at the base":                     {at(all[29].Pos, 0), upTo(31, 40), false},
		"before the base":                 {at(all[29].Pos-1, 0), upTo(30, 40), false},
		"at a stored one":                 {at(all[5].Pos, 0), upTo(7, 40), false},
		"between stored ones, long ago":   {at(all[6].Pos-1, 2*time.Hour), upTo(7, 40), false},
		"at the first":                    {at(all[0].Pos, 2*time.Hour), upTo(2, 40), false},
		"before the first":                {at(all[0].Pos-1, time.Minute), upTo(1, 40), false},
		"before the first, expired since": {at(all[0].Pos-1, 2*time.Hour), nil, true},
		"of another epoch":                {broker.Offset{Epoch: "x", Pos: all[34].Pos, At: time.Now().UnixMilli()}, nil, true},
	} {
		m := guest("m")
		j := join(t, h, "room", m, JoinOptions{HasSince: true, Since: row.since, Vouched: true, Replay: true})
		if j.Recovered == row.lost || !slices.Equal(seqs(t, j.Messages), row.want) {
			t.Errorf("%s: recovered %v, %v", name, j.Recovered, seqs(t, j.Messages))
		}
		h.Leave("room", m)
	}
	f.set(func() { f.down = true })
	if j, err := tryJoin(h, "room", guest("x"), JoinOptions{HasSince: true, Since: at(all[5].Pos, 0), Vouched: true, Replay: true}); !errors.Is(err, broker.ErrUnavailable) {
		t.Error("without the store: ", j, err)
	}
}

// After the store has trimmed messages, a moment before what is left may have missed some of them.
func TestReplayFromATrimmedMoment(t *testing.T) {
	h, _ := newTestHub(t)
	all := publishMany(t, h, "room", 60) // 50 are kept
	join(t, h, "room", guest("stay"), JoinOptions{})
	at := func(pos uint64) broker.Offset {
		return broker.Offset{Epoch: all[0].Epoch, Pos: pos, At: time.Now().UnixMilli()}
	}
	for pos, recovered := range map[uint64]bool{all[9].Pos: true, all[8].Pos: false, all[0].Pos: false} {
		if j := join(t, h, "room", guest("m"), JoinOptions{HasSince: true, Since: at(pos), Vouched: true, Replay: true}); j.Recovered != recovered || recovered && len(j.Messages) != 50 {
			t.Errorf("from %d: recovered %v, %d messages", pos, j.Recovered, len(j.Messages))
		}
	}
}

// Who is expected back is not seen to leave, unless they stay away for the grace.
func TestLeaveForNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		asks, ben := guest("asks"), guest("ben")
		join(t, h, "room", asks, JoinOptions{Presence: true})
		join(t, h, "room", ben, JoinOptions{})
		<-time.After(time.Second)
		asks.got("presence")
		h.LeaveForNow("room", ben)
		<-time.After(LeaveGrace - time.Second)
		again := guest("ben")
		join(t, h, "room", again, JoinOptions{})
		<-time.After(2 * LeaveGrace)
		if got := asks.got("presence"); len(got) != 0 {
			t.Errorf("back within the grace: %q", got)
		}
		began := time.Now()
		h.LeaveForNow("room", again)
		<-time.After(LeaveGrace - time.Second)
		if got := asks.got("presence"); len(got) != 0 {
			t.Errorf("after %v: %q", time.Since(began), got)
		}
		<-time.After(2 * time.Second)
		if got := asks.got("presence"); len(got) != 1 {
			t.Errorf("gone for good: %q", got)
		}
		h.LeaveForNow("room", asks)
		h.Drain()
		h.Wait()
		if h.count() != 0 {
			t.Error("the room stays")
		}
	})
}

// Who is told the list between somebody's leaving and coming back hears of the coming back, though for
// the others nothing has changed.
func TestListAmidChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		asks, ben, late := guest("asks"), guest("ben"), guest("late")
		join(t, h, "room", asks, JoinOptions{Presence: true})
		join(t, h, "room", ben, JoinOptions{})
		<-time.After(time.Second)
		asks.got("presence")
		h.Leave("room", ben)
		if j := join(t, h, "room", late, JoinOptions{Presence: true}); len(j.Members) != 2 {
			t.Fatalf("without ben there are %q", j.Members)
		}
		join(t, h, "room", ben, JoinOptions{})
		<-time.After(time.Second)
		if got := late.got("presence"); len(got) != 1 || !strings.Contains(got[0], `"joined":[{"id":"user-ben"`) {
			t.Errorf("the one who was told the list hears %q", got)
		}
		if got := asks.got("presence"); len(got) != 1 || strings.Contains(got[0], "user-ben") {
			t.Errorf("the other hears %q", got)
		}
	})
}
