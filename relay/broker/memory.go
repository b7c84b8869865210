package broker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits bounds what a broker keeps of a room, and of a session.
type Limits struct {
	History  int           // messages a room, at least 1
	TTL      time.Duration // after a room's last message, its history goes
	Recovery time.Duration // a session that was released goes after it; zero: DefaultRecovery
	Notices  NoticeLimits

	Reactions     int // of one message, of all users together; zero: DefaultReactions
	ReactionKinds int // different ones of one message; zero: DefaultReactionKinds
}

// DefaultRecovery is how long a session that was released can be resumed, if Limits does not say.
const DefaultRecovery = time.Hour

// Memory is a broker within one process: nothing outlives it, and no other relay takes part.
type Memory struct {
	limits Limits
	epoch  string
	secret []byte
	stop   chan struct{}
	done   chan struct{}
	fences sync.WaitGroup // what Close waits for; added to while mu is held and closed is not set

	telling sync.Mutex // held while what Tell said is heard

	mu       sync.Mutex // held while delivering, so that positions rise; never across I/O
	pos      uint64
	rooms    map[string]*memoryRoom
	sessions map[string]*memorySession
	revoked  map[string]Revocation                // by subject
	tell     func([]Revocation)                   // of OnRevoked
	command  func(context.Context, string) string // of OnCommand
	notices  memoryNotices
	closed   bool
}

type memoryRoom struct {
	messages []Message // and annotations, in their order; the first is a message
	notes    int       // how many of them are annotations
	seq      uint64
	digest   string
	ids      map[string]Receipt // by "<user>\0<id>"
	keys     []string           // of ids, the oldest first
	expires  time.Time
	users    map[string]string
	sub      Subscriber
}

// NewMemory makes an empty broker. Close ends what it started.
func NewMemory(l Limits) *Memory {
	if l.Recovery <= 0 {
		l.Recovery = DefaultRecovery
	}
	b := &Memory{limits: l.WithDefaults(), epoch: newEpoch(), secret: newSecret(), rooms: map[string]*memoryRoom{},
		sessions: map[string]*memorySession{}, revoked: map[string]Revocation{}, notices: newMemoryNotices(l.Notices), stop: make(chan struct{}), done: make(chan struct{})}
	go b.sweep()
	if l.Notices.On {
		b.fences.Go(b.watchLeft)
	}
	return b
}

func newEpoch() string { return strings.ToLower(rand.Text()[:6]) }

func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	return secret
}

// digest chains a message to its predecessor, so that it vouches for all before it.
func digest(prev, key string, at int64) string {
	sum := sha256.Sum256([]byte(prev + " " + key + " " + strconv.FormatInt(at, 10)))
	return hex.EncodeToString(sum[:5])
}

// room returns the room, made if it is not there, its history let go if it has expired. b.mu
// is held.
func (b *Memory) room(name string) *memoryRoom {
	r := b.rooms[name]
	if r == nil {
		r = &memoryRoom{ids: map[string]Receipt{}, users: map[string]string{}}
		b.rooms[name] = r
	}
	if r.seq > 0 && !time.Now().Before(r.expires) {
		r.messages, r.notes, r.seq, r.digest = nil, 0, 0, ""
	}
	r.forgetIDs()
	return r
}

// Publish implements Broker.
func (b *Memory) Publish(_ context.Context, pubs ...Publication) []Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	receipts := make([]Receipt, len(pubs))
	for i, p := range pubs {
		if b.closed {
			receipts[i] = Receipt{Err: ErrClosed}
			continue
		}
		receipts[i] = b.publish(p)
	}
	return receipts
}

func (b *Memory) publish(p Publication) Receipt {
	r := b.room(p.Room)
	key := p.User + "\x00" + p.ID
	if first, ok := r.ids[key]; ok {
		first.Duplicate = true
		return first
	}
	now := time.Now()
	b.pos++
	r.seq++
	m := Message{Room: p.Room, Epoch: b.epoch, Pos: b.pos, Seq: r.seq, At: now.UnixMilli(), Prev: r.digest, Body: p.Body}
	m.Digest = digest(m.Prev, key, m.At)
	receipt := Receipt{Offset: m.Offset(), At: m.At}
	r.digest = m.Digest
	r.expires = now.Add(b.limits.TTL)
	r.messages, r.keys = append(r.messages, m), append(r.keys, key)
	r.ids[key] = receipt
	r.trim(b.limits.History)
	if r.sub != nil {
		r.sub.Deliver(m)
	}
	return receipt
}

// trim lets go of the oldest messages, each with the annotations that came before the next one.
func (r *memoryRoom) trim(limit int) {
	for len(r.messages)-r.notes > limit || r.notes > AnnotationsKept(limit) && len(r.messages)-r.notes > 1 {
		r.drop()
		for len(r.messages) > 0 && r.messages[0].Note != nil {
			r.notes--
			r.drop()
		}
	}
}

func (r *memoryRoom) drop() {
	r.messages[0] = Message{}
	r.messages = r.messages[1:]
}

// forgetIDs lets go of the ids of messages that are kept no more, once they have been known for
// Idempotency.
func (r *memoryRoom) forgetIDs() {
	until, kept := time.Now().Add(-Idempotency).UnixMilli(), uint64(math.MaxUint64)
	if len(r.messages) > 0 {
		kept = r.messages[0].Pos
	}
	for len(r.keys) > 0 {
		if first := r.ids[r.keys[0]]; first.At > until || first.Offset.Pos >= kept {
			return
		}
		delete(r.ids, r.keys[0])
		r.keys[0] = ""
		r.keys = r.keys[1:]
	}
}

// Subscribe implements Broker.
func (b *Memory) Subscribe(_ context.Context, room string, sub Subscriber, list int) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	r := b.room(room)
	if r.sub != nil {
		return nil, ErrUnavailable
	}
	r.sub = sub
	s := Snapshot{Tail: b.head(), Messages: append([]Message(nil), r.messages...), Members: r.list(list), Count: len(r.users)}
	if n := len(r.messages); n > 0 {
		s.Tail = r.messages[n-1].Offset()
		s.Age = max(0, time.Since(time.UnixMilli(r.messages[n-1].At)))
	}
	sub.Load(s, "")
	stopped := false
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !stopped {
			stopped, r.sub = true, nil
			b.forget(room, r)
		}
	}, nil
}

// forget drops a room of which nothing is left. b.mu is held.
func (b *Memory) forget(name string, r *memoryRoom) {
	if r.sub == nil && r.seq == 0 && len(r.users)+len(r.keys) == 0 && b.rooms[name] == r {
		delete(b.rooms, name)
	}
}

// History implements Broker.
func (b *Memory) History(_ context.Context, room string, before Offset, limit int) ([]Message, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false, ErrClosed
	}
	if !before.IsZero() && (before.Epoch != b.epoch || before.Pos > b.pos) {
		return nil, false, ErrGap
	}
	var have []Message
	if r := b.rooms[room]; r != nil {
		have = b.room(room).messages
	}
	end := len(have)
	for end > 0 && !before.IsZero() && have[end-1].Pos > before.Pos {
		end--
	}
	if before.Seq > 0 && end > 0 { // the message itself must be there, or all up to it has been let go of
		if end--; have[end].Offset() != before {
			return nil, false, ErrGap
		}
	}
	start := end
	for left := limit; start > 0 && left > 0; start-- {
		if have[start-1].Note == nil {
			left--
		}
	}
	return append([]Message(nil), have[start:end]...), start > 0, nil
}

// Signal implements Broker.
func (b *Memory) Signal(room, sender, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.rooms[room]; r != nil && r.sub != nil {
		r.sub.Signal(Signal{Sender: sender, Body: body})
	}
}

// Enter implements Broker.
func (b *Memory) Enter(_ context.Context, room string, user User) (int, error) {
	text := user.Text()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, ErrClosed
	}
	r := b.room(room)
	was, here := r.users[user.ID]
	r.users[user.ID] = text
	if !here {
		b.notices.came(RoomSubject(room), "")
	}
	if was != text && r.sub != nil {
		r.sub.Presence(Change{Joined: !here, Renamed: here, Count: len(r.users), User: text})
	}
	return len(r.users), nil
}

// Leave implements Broker.
func (b *Memory) Leave(room, userID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rooms[room]
	if r == nil || r.users[userID] == "" {
		return
	}
	text := r.users[userID]
	if delete(r.users, userID); len(r.users) == 0 {
		b.notices.went(RoomSubject(room))
	}
	if r.sub != nil {
		r.sub.Presence(Change{Count: len(r.users), User: text})
	}
	b.forget(room, r)
}

// Members implements Broker.
func (b *Memory) Members(_ context.Context, room string, limit int) ([]string, int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, 0, ErrClosed
	}
	r := b.rooms[room]
	if r == nil {
		return []string{}, 0, nil
	}
	return r.list(limit), len(r.users), nil
}

// list returns the JSON of the room's users, or nothing if they are more than limit.
func (r *memoryRoom) list(limit int) []string {
	if len(r.users) > limit {
		return nil
	}
	return slices.AppendSeq(make([]string, 0, len(r.users)), maps.Values(r.users))
}

// MembersNow implements Broker.
func (b *Memory) MembersNow(ctx context.Context, room string, limit int) ([]string, int, error) {
	return b.Members(ctx, room, limit)
}

// Head implements Broker.
func (b *Memory) Head() Offset {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head()
}

func (b *Memory) head() Offset {
	return Offset{Epoch: b.epoch, Pos: b.pos, At: time.Now().UnixMilli()}
}

// Reach implements Broker: what is stored here has been delivered.
func (b *Memory) Reach(_ context.Context, at Offset) error {
	if head := b.Head(); at.Epoch != head.Epoch || at.Pos > head.Pos {
		return ErrGap
	}
	return nil
}

// RoundTrip implements Broker.
func (b *Memory) RoundTrip() time.Duration { return 0 }

// Ready implements Broker.
func (b *Memory) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	return nil
}

// Close implements Broker.
func (b *Memory) Close(context.Context) error {
	b.mu.Lock()
	was := b.closed
	b.closed = true
	for _, r := range b.rooms {
		r.sub = nil
	}
	b.mu.Unlock()
	if !was {
		close(b.stop)
	}
	<-b.done
	b.fences.Wait()
	return nil
}

// sweep lets go of histories and sessions that have expired and that nobody asks for any more.
func (b *Memory) sweep() {
	defer close(b.done)
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.mu.Lock()
			for name := range b.rooms {
				b.forget(name, b.room(name))
			}
			for key := range b.sessions {
				b.session(key)
			}
			b.forgetRevoked()
			b.mu.Unlock()
		}
	}
}
