package room

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
	"setu/relay/engineio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is a Member that keeps what it is sent.
type member struct {
	id   string
	user broker.User // as it was first called

	moves bool // it hears of places

	mu      sync.Mutex
	packets []string
	renamed *broker.User // as it is called now
}

func guest(name string) *member {
	return &member{id: "conn-" + name, user: broker.User{ID: "user-" + name, Name: name, Guest: true}}
}

func (m *member) ID() string { return m.id }

func (m *member) User() broker.User {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.renamed != nil {
		return *m.renamed
	}
	return m.user
}

func (m *member) HearsMoves() bool { return m.moves }

func (m *member) Rename(u broker.User) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.renamed = &u
}

func (m *member) Send(f *engineio.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.packets = append(m.packets, string(f.Packet()))
	return true
}

// got returns the packets of one event that have come so far. It forgets all that have come.
func (m *member) got(name string) (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.packets {
		if strings.HasPrefix(p, `42["`+name+`",`) {
			out = append(out, p)
		}
	}
	m.packets = nil
	return out
}

// fake is a memory broker that a test can have fail, wait and count.
type fake struct {
	*broker.Memory

	mu        sync.Mutex
	down      bool                                       // Enter, Members, History are unavailable
	partial   bool                                       // some may be missing from what Members returns
	refuse    int                                        // Subscribes to refuse
	hold      chan struct{}                              // while set, Subscribe and Enter wait for it
	reach     func(context.Context, broker.Offset) error // instead of the Memory's
	histories int
	lists     int            // calls of MembersNow
	entered   []string       // ids of those who entered
	subs      map[string]int // subscriptions now, by room
	most      int            // of one room at a time
}

func newFake(t testing.TB, l broker.Limits) *fake {
	f := &fake{Memory: broker.NewMemory(l), subs: map[string]int{}}
	t.Cleanup(func() { _ = f.Memory.Close(context.Background()) })
	return f
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) isDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}

func (f *fake) wait() {
	f.mu.Lock()
	hold := f.hold
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

func (f *fake) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	f.wait()
	f.mu.Lock()
	if f.refuse > 0 {
		f.refuse--
		f.mu.Unlock()
		return nil, broker.ErrUnavailable
	}
	f.subs[room]++
	f.most = max(f.most, f.subs[room])
	f.mu.Unlock()
	stop, err := f.Memory.Subscribe(ctx, room, sub, list)
	return func() {
		stop()
		f.set(func() { f.subs[room]-- })
	}, err
}

func (f *fake) Enter(ctx context.Context, room string, u broker.User) (int, error) {
	if f.isDown() {
		return 0, broker.ErrUnavailable
	}
	f.set(func() { f.entered = append(f.entered, u.ID) })
	return f.Memory.Enter(ctx, room, u)
}

func (f *fake) Members(ctx context.Context, room string, limit int) ([]string, int, error) {
	if f.isDown() {
		return nil, 0, broker.ErrUnavailable
	}
	return f.Memory.Members(ctx, room, limit)
}

func (f *fake) MembersNow(ctx context.Context, room string, limit int) ([]string, int, error) {
	users, n, err := f.Members(ctx, room, limit)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	if f.partial && err == nil {
		err = broker.ErrPartial
	}
	return users, n, err
}

func (f *fake) History(ctx context.Context, room string, before broker.Offset, limit int) ([]broker.Message, bool, error) {
	f.set(func() { f.histories++ })
	if f.isDown() {
		return nil, false, broker.ErrUnavailable
	}
	return f.Memory.History(ctx, room, before, min(limit, 7)) // in pages
}

func (f *fake) Reach(ctx context.Context, at broker.Offset) error {
	f.mu.Lock()
	reach := f.reach
	f.mu.Unlock()
	if reach == nil {
		return f.Memory.Reach(ctx, at)
	}
	return reach(ctx, at)
}

var limits = broker.Limits{History: 50, TTL: time.Hour}

func newTestHub(t testing.TB) (*Hub, *fake) {
	f := newFake(t, limits)
	h := NewHub(f, limits)
	t.Cleanup(func() {
		h.Drain()
		h.Wait()
	})
	return h, f
}

// join makes m a member and returns the answer.
func join(t testing.TB, h *Hub, name string, m Member, o JoinOptions) (j Joined) {
	t.Helper()
	called := 0
	err := h.Join(context.Background(), name, m, o, func(got Joined) {
		called++
		j = got
	})
	if err != nil || called != 1 {
		t.Fatalf("join: %v, answered %d times", err, called)
	}
	return j
}

// publish stores a message and returns its offset.
func publish(t testing.TB, h *Hub, name, id, data string) broker.Offset {
	t.Helper()
	body := Body(id, broker.User{ID: "p", Name: "P"}, json.RawMessage(data))
	rc := h.Publish(context.Background(), broker.Publication{Room: name, User: "p", ID: id, Body: body})[0]
	if rc.Err != nil {
		t.Fatal(rc.Err)
	}
	return rc.Offset
}

func publishMany(t testing.TB, h *Hub, name string, n int) (out []broker.Offset) {
	t.Helper()
	for i := range n {
		out = append(out, publish(t, h, name, fmt.Sprintf("id-%d-%d", time.Now().UnixNano(), i), "1"))
	}
	return out
}

// seqs returns the sequences of a list of messages.
func seqs(t testing.TB, l List) (out []uint64) {
	t.Helper()
	for _, s := range l {
		var m struct{ Seq uint64 }
		if err := json.Unmarshal(s.append(nil, 0), &m); err != nil {
			t.Fatal(err, string(s.object))
		}
		out = append(out, m.Seq)
	}
	return out
}

// upTo returns first, first+1, … last.
func upTo(first, last uint64) (out []uint64) {
	for ; first <= last; first++ {
		out = append(out, first)
	}
	return out
}

// count returns how many rooms the hub has.
func (h *Hub) count() (n int) {
	h.rooms.Range(func(any, any) bool { n++; return true })
	return n
}
