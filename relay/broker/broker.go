// Package broker stores a room's messages and carries them between relays.
//
// A broker gives every message two numbers in the same atomic step that stores it and fans it out:
// a sequence, which counts the messages of its room from 1 without holes, and a position, which
// rises with every message of every room and so orders all that one relay delivers. The digest
// chains a message to its predecessor: two histories that have grown to the same numbers with other
// messages have other digests, so an offset names a message and not a place.
package broker

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Errors of every broker. Others are faults of the transport and mean the same as ErrUnavailable to
// a member.
var (
	// ErrUnavailable: the store did not answer, or refused, within its bounded time. Trying again
	// later may succeed.
	ErrUnavailable = errors.New("broker: unavailable")
	// ErrGap: the asked history is not whole any more (trimmed, expired), or is another one than
	// the offset names.
	ErrGap = errors.New("broker: history has a gap")
	// ErrPartial: what is returned with it may lack some.
	ErrPartial = errors.New("broker: some may be missing")
	// ErrCursor: what names the rest of a list does not.
	ErrCursor = errors.New("broker: not a cursor")
	// ErrClosed: the broker was closed.
	ErrClosed = errors.New("broker: closed")
)

// Message is one stored message of a room. It is never changed once made, and its slices are
// shared.
type Message struct {
	Room   string
	Epoch  string
	Pos    uint64 // position: rises with every message of the partition
	Seq    uint64 // sequence: counts this room's messages from 1
	At     int64  // milliseconds since 1970, by the store's clock
	Prev   string // digest of the predecessor, empty for the first
	Digest string
	Body   string // what the publishing relay said of it; opaque here

	Note  *Note  // what it says of another message, if it is an annotation; its Seq is that of the message before it then
	Notes *Notes // of a message that was read, how its annotations stood; nil: it had none
}

// Offset names m.
func (m Message) Offset() Offset {
	return Offset{Epoch: m.Epoch, Pos: m.Pos, Seq: m.Seq, Digest: m.Digest}
}

// Publication is a message on its way in.
type Publication struct {
	Room string
	User string // public id of the publisher: whose ID it is
	ID   string // unique for the user and room, for at least Idempotency and as long as the message is kept
	Body string
}

// Idempotency is how long a publication's id is known at least, however many others come between.
// While its message is kept, it is known longer.
const Idempotency = 5 * time.Minute

// Receipt says what became of a publication.
type Receipt struct {
	Offset    Offset
	At        int64
	Duplicate bool // the same user's same ID was there already; Offset and At are the first one's
	Err       error
}

// User is a person as others may see them.
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Guest bool   `json:"guest"`

	// Place is where the connection is by which this is said. Who is in a room may be so at several places:
	// see WithPlaces.
	Place
}

// GuestPrefix begins the ids of guests, and of nobody else.
const GuestPrefix = "~"

// GuestName is what a guest is called who has not said it: it follows from the id.
func GuestName(id string) string {
	id = strings.TrimPrefix(id, GuestPrefix)
	return "guest-" + strings.ToLower(id[:min(4, len(id))])
}

// UserID returns the ID of a user, given its JSON, in which the ID comes first and needs no
// escaping: a cut, as rooms have many users. It is empty if no relay wrote the JSON.
func UserID(text string) string {
	rest, ours := strings.CutPrefix(text, `{"id":"`)
	if !ours {
		return ""
	}
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// Change is what happened to a user of a room: they joined, were renamed or, with neither set,
// left. Who is there at other places than before is renamed, too. User is the JSON of a User, as they
// are called now, and where they are.
type Change struct {
	Joined  bool
	Renamed bool
	Moved   bool // it is renamed alone in that the user is at other places
	Count   int
	User    string

	// After is a moment after which the change was announced, by this process' clock: what is heard may
	// lag behind what is read. Zero: it was announced just now.
	After time.Time

	// Missed, with nothing else set, says that changes may have gone by unheard: Members has who is
	// there.
	Missed bool
}

// Signal is a message that nobody stores.
type Signal struct {
	Sender string // the connection it came from, which does not get it back
	Body   string
}

// Snapshot is the present state of a room's history: its newest messages, oldest first. There may be
// few of many.
type Snapshot struct {
	Tail     Offset        // of the newest message, or of the empty room
	Messages []Message     // and annotations
	More     bool          // older ones are stored too
	Age      time.Duration // of the newest message, by the store's clock

	// In the first one only, who is in the room: how many users over all relays and, if Subscribe was
	// asked to list so many, the JSON of each, as Presence.Members has it. The changes that follow may
	// have happened before that; none that has happened after it is missing.
	Count   int
	Members []string
	Partial bool // some may be missing, as with MembersNow's ErrPartial
}

// Subscriber takes what happens in one room. Its methods are called one at a time and in order,
// must not block, and must not call the broker.
type Subscriber interface {
	// Load comes first, before Subscribe returns, and again (with a reason) whenever the room's
	// history is no longer the one that was delivered so far. What follows continues this snapshot.
	Load(s Snapshot, reason string)
	// Deliver brings the message after the last one delivered or loaded. Over all rooms of one
	// broker positions rise.
	Deliver(Message)
	Signal(Signal)
	Presence(Change)
}

// Reasons of a Load that is not the first.
const (
	ReasonEpoch   = "epoch"   // the store lost what it had taken
	ReasonTrimmed = "trimmed" // more was missed than the history keeps
	ReasonExpired = "expired" // what may have been missed has expired
)

// Messages stores each room's messages in one order and carries them between relays.
type Messages interface {
	// Publish stores the publications in their order and fans each out, in one step apiece;
	// receipts[i] belongs to pubs[i]. It is idempotent by (room, user, id) for Idempotency, and as
	// long as the message is kept. What is acknowledged is as good as delivered: if the store loses
	// it, subscribers are told.
	Publish(ctx context.Context, pubs ...Publication) (receipts []Receipt)
	// Subscribe delivers what happens in room to sub, without holes: the snapshot first, then
	// everything after it. The snapshot lists the room's users if they are no more than list. There is
	// at most one subscription for a room at a time: another gets ErrUnavailable. After stop has
	// returned sub is not called again; stop may be called again.
	Subscribe(ctx context.Context, room string, sub Subscriber, list int) (stop func(), err error)
	// History returns at most limit messages older than before, oldest first, and the annotations that
	// stand between and after them; the zero offset stands for the end. Fewer may come if they are large; more reports whether older ones are
	// stored. ErrGap: before is of another history. If before's message has been let go of, so has
	// all before it, and nothing comes.
	History(ctx context.Context, room string, before Offset, limit int) (page []Message, more bool, err error)
	// Signal fans body out to everyone in the room at most once, and may drop it.
	Signal(room, sender, body string)
	// Reach returns when all messages up to at, which another relay may have delivered already,
	// have been delivered here. ErrGap: the store was asked, and at is of another epoch or of a
	// position that it does not know. ErrUnavailable: this relay is behind, or the store does not
	// answer.
	Reach(ctx context.Context, at Offset) error
	// Head is an offset at or before which all messages of all rooms have been delivered here.
	Head() Offset
}

// Presence records which users are in which rooms, over all relays.
type Presence interface {
	// Enter records that user is in room on this relay, Leave that the user no longer is. What the
	// store can't take now is remembered and made good later; count is how many users the room has
	// then, over all relays. Changes that were announced while the store was out of reach are not
	// announced again: Members has the present state.
	//
	// A user who is there already under another name is renamed, and subscribers on all relays hear
	// of it. What is written late, or anew, does not bring back a name after which another one has
	// been heard.
	Enter(ctx context.Context, room string, user User) (count int, err error)
	Leave(room, userID string)
	// Members returns the JSON of the room's users over all relays, or none with their count if
	// that is over limit.
	Members(ctx context.Context, room string, limit int) (users []string, count int, err error)
	// MembersNow is Members, read from the store: a change that was heard before the call is in it. What
	// Members returns may be a moment older than what was heard. ErrPartial, with users: the store was
	// away or has lost some, and relays have yet to record their users anew; subscribers hear that
	// changes were Missed when that is over.
	MembersNow(ctx context.Context, room string, limit int) (users []string, count int, err error)
	// Rooms lists rooms that have users, in no order, about limit at a time: those after cursor, which
	// is empty for the first. next is empty after the last. A room that has users all the while is listed
	// once at least. ErrCursor: no list of this store has given cursor out.
	Rooms(ctx context.Context, cursor string, limit int) (rooms []RoomCount, next string, err error)
}

// RoomCount is how many users are in a room, over all relays.
type RoomCount struct {
	Room  string
	Count int
}

// Sessions keeps what a client's next connection, to any relay, needs to go on.
type Sessions interface {
	// Keep stores a session under key, a secret that nobody else uses, for another connection to
	// resume, even if this relay ends without a word. It returns at once; what the store can't take
	// now is made good later. fenced is called once when somebody else has resumed the session, on
	// a goroutine of the broker's: it may call the broker, and must not block.
	Keep(key string, s Session, fenced func()) SessionHandle
	// Resume goes on with the session under key, whoever owned it, from the message or moment that
	// at names: the last that its client had. The former owner is fenced. ErrGone: there is no such
	// session, or what the client has missed since at can't be found, and then there is no such
	// session any more. fenced, as with Keep, may be called before Resume has returned.
	Resume(ctx context.Context, key string, at Offset, fenced func()) (Resumed, error)
}

// Fleet is what relays on one store know of one another, and of the store.
type Fleet interface {
	// Peer finds a live relay of the fleet. ErrGone: there is none of that name.
	Peer(ctx context.Context, node string) (Peer, error)
	// Others returns live relays of the fleet that take new clients, without this one, in a random
	// order, which spreads the clients that are brought to them. Of a large fleet it may leave some
	// out.
	Others(ctx context.Context) ([]Peer, error)
	// Announced returns once Peer of the other relays finds this one. It waits no longer than ctx, nor a few seconds from
	// the relay's start on, in which the store may not be there.
	Announced(ctx context.Context)
	// Drain says that this relay takes no new clients any more. The others learn it in a moment.
	// Until Close, Peer still finds this relay, for the sessions that it has.
	Drain()
	// Secret is 32 random bytes that the fleet shares. They change when the store has lost them.
	Secret(ctx context.Context) ([]byte, error)
	// Ready is nil when the store can be reached and what it fans out arrives.
	Ready() error
	// RoundTrip is how long what is sent to the store last took to come back, or has not come back for,
	// as a health check finds out now and then; zero: it is not known, or the store is this process.
	RoundTrip() time.Duration
}

// Revocations ends people's right to be connected, over all relays.
type Revocations interface {
	// Revoke stores r and returns when it holds on all live relays: each has called what OnRevoked
	// was given. After a bounded time it returns ErrUnavailable, and the coverage says how it is:
	// if it is stored, it holds on the others when they are back. Of several revocations of one
	// subject the stricter holds, in each respect; of mutes the last. One that has expired holds nowhere. ErrTooMany:
	// MaxRevocations are stored already. Another error: r.Check.
	Revoke(ctx context.Context, r Revocation) (Coverage, error)
	// OnRevoked has f called with all that holds here, if there is any, and then with what is new
	// or has become stricter, or another mute, before anything is delivered that was published after it. While the
	// store is away, that is what was known before; f hears of the rest before anything is
	// delivered when it is back. f must not block, and must not call the broker. There is one f.
	OnRevoked(f func([]Revocation))
	// IsRevoked finds, in what is known here, a revocation of somebody who wants to connect: a user
	// with a token, issued then, and a session, each of them empty if there is none.
	IsRevoked(user, token, session string, issued int64) (Revocation, bool)
}

// CommandTimeout is how long a command may take, on all relays together.
const CommandTimeout = 2 * time.Second

// Answers is what relays have said to a command.
type Answers struct {
	Texts     []string // of each relay that has answered, in no order
	Unreached int      // live relays that have not
}

// Commands has all relays do something: what a command says is opaque here.
type Commands interface {
	// Command has what OnCommand was given called with text on every live relay, this one among them,
	// and returns what they answer: when all have, or when ctx is done or CommandTimeout over, with
	// ErrUnavailable and what has come by then. A relay whose answer was lost may be asked twice, so
	// that must do no harm. A relay that died without a word is live until its lease has ended.
	Command(ctx context.Context, text string) (Answers, error)
	// Tell has the same called on all relays that hear it, at most once on each, and waits for none of
	// them. What one relay tells is heard in its order. ErrUnavailable: nobody will hear it.
	Tell(text string) error
	// OnCommand says what is called, f. For a command that wants an answer it has until ctx is done, and
	// is called concurrently. For one that was told it is called one at a time, and must not block, or
	// call the broker; nobody hears what it returns. There is one f.
	OnCommand(f func(ctx context.Context, text string) (answer string))
}

// Broker is the whole contract: eight small ones, so that a new store can begin with one. All
// methods may be called concurrently and return within a bounded time, if need be with
// ErrUnavailable, even if ctx has no deadline.
type Broker interface {
	Messages
	Annotations
	Presence
	Sessions
	Fleet
	Revocations
	Commands
	Notices
	// Close announces that this relay's users have left, stops all delivery and waits for what it
	// started.
	Close(ctx context.Context) error
}
