package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// orders keeps which commands came to one relay. It answers each with the relay's name and the command.
type orders struct {
	mu  sync.Mutex
	all []string
}

func obeyAt(b broker.Broker, name string) *orders {
	o := &orders{}
	b.OnCommand(func(_ context.Context, text string) string {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all = append(o.all, text)
		return name + " " + text
	})
	return o
}

func (o *orders) heard() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

// command has relays do something, and returns what they said, sorted.
func command(t *testing.T, b broker.Broker, text string) []string {
	t.Helper()
	got, err := b.Command(t.Context(), text)
	if err != nil || got.Unreached != 0 {
		t.Fatalf("command %.40q: %+v, %v", text, got, err)
	}
	slices.Sort(got.Texts)
	return got.Texts
}

func testCommand(t *testing.T, h Harness) {
	relay := openLeased(t, h.New(t, defaults()), 1)[0]
	o := obeyAt(relay, "one")
	var want []string
	for _, text := range []string{"a", "", "with spaces  and \x00 and ✓", strings.Repeat("x", 100_000)} {
		if got := command(t, relay, text); !slices.Equal(got, []string{"one " + text}) {
			t.Errorf("answers %.60q", got)
		}
		want = append(want, text)
	}
	for i := range 100 {
		text := fmt.Sprint("told ", i)
		if err := relay.Tell(text); err != nil {
			t.Error(err)
		}
		want = append(want, text)
	}
	eventually(t, "told in order, once each", func() bool { return slices.Equal(o.heard(), want) })
	relay.Close(t.Context())
	if _, err := relay.Command(t.Context(), "late"); !errors.Is(err, broker.ErrClosed) {
		t.Error("closed: ", err)
	}
	if err := relay.Tell("late"); !errors.Is(err, broker.ErrClosed) {
		t.Error("closed: ", err)
	}
}

// A command that takes its time is carried out once, though it is asked for again meanwhile; and who has
// no more time is told so.
func testCommandSlow(t *testing.T, h Harness) {
	relay := openLeased(t, h.New(t, defaults()), 1)[0]
	var mu sync.Mutex
	times := 0
	relay.OnCommand(func(ctx context.Context, text string) string {
		mu.Lock()
		times++
		mu.Unlock()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		return text
	})
	if got := command(t, relay, "slow"); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("answers %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if times != 1 {
		t.Errorf("carried out %d times", times)
	}
}

// All relays do what one commands, and hear what one tells in its order.
func testSharedCommand(t *testing.T, h Harness) {
	relays := openLeased(t, h.New(t, defaults()), 3)
	var all []*orders
	for i, b := range relays {
		all = append(all, obeyAt(b, fmt.Sprint(i)))
	}
	var want []string
	for i, b := range relays {
		text := fmt.Sprint("from ", i)
		if got := command(t, b, text); !slices.Equal(got, []string{"0 " + text, "1 " + text, "2 " + text}) {
			t.Errorf("answers %q", got)
		}
		want = append(want, text)
	}
	for i := range 50 {
		if err := relays[1].Tell(fmt.Sprint(i)); err != nil {
			t.Error(err)
		}
		want = append(want, fmt.Sprint(i))
	}
	for i, o := range all {
		eventually(t, func() string { return fmt.Sprintf("relay %d: %q", i, o.heard()) }, func() bool { return slices.Equal(o.heard(), want) })
	}
	relays[2].Close(t.Context()) // who has left is waited for no more
	if got := command(t, relays[0], "after"); !slices.Equal(got, []string{"0 after", "1 after"}) {
		t.Errorf("answers %q", got)
	}
}

// Who died without a word counts as missing until the lease has ended, and then no more.
func testCommandDead(t *testing.T, h Harness) {
	relays := openLeased(t, h.New(t, defaults()), 2)
	for i, b := range relays {
		obeyAt(b, fmt.Sprint(i))
	}
	relays[1].Kill()
	stalls, began := wiretest.WatchStalls(t), time.Now()
	got, err := relays[0].Command(t.Context(), "a")
	if d := stalls.Since(began); !errors.Is(err, broker.ErrUnavailable) || !slices.Equal(got.Texts, []string{"0 a"}) || got.Unreached != 1 || d > broker.CommandTimeout+time.Second {
		t.Errorf("%+v, %v after %v", got, err, d)
	}
	eventually(t, "forgotten", func() bool {
		got, err := relays[0].Command(t.Context(), "b")
		return err == nil && slices.Equal(got.Texts, []string{"0 b"})
	})
}

// A relay that has lost its connections for a moment is asked again.
func testCommandDropped(t *testing.T, h Harness) {
	relays := openLeased(t, h.New(t, defaults()), 2)
	for i, b := range relays {
		obeyAt(b, fmt.Sprint(i))
	}
	for range 5 {
		relays[1].Drop()
		if got := command(t, relays[0], "a"); !slices.Equal(got, []string{"0 a", "1 a"}) {
			t.Errorf("answers %q", got)
		}
		ready(t, relays[1])
		relays[0].Drop()
		eventually(t, "commands again", func() bool {
			got, err := relays[0].Command(t.Context(), "b")
			return err == nil && len(got.Texts) == 2
		})
	}
}

// Without the store nothing is commanded, which is said in a bounded time.
func testCommandUnavailable(t *testing.T, h Harness) {
	relay := openLeased(t, h.New(t, defaults()), 1)[0]
	obeyAt(relay, "one")
	mend := relay.Cut()
	eventually(t, "refused", func() bool { return errors.Is(relay.Tell("a"), broker.ErrUnavailable) })
	stalls, began := wiretest.WatchStalls(t), time.Now()
	if got, err := relay.Command(t.Context(), "a"); !errors.Is(err, broker.ErrUnavailable) || stalls.Since(began) > broker.CommandTimeout+2*time.Second {
		t.Errorf("%+v, %v after %v", got, err, stalls.Since(began))
	}
	mend()
	ready(t, relay)
	if got := command(t, relay, "b"); !slices.Equal(got, []string{"one b"}) {
		t.Errorf("answers %q", got)
	}
}
