package broker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"
)

// Kinds of notices, as the app is told them.
const (
	UserOnline   = "user.online"
	UserOffline  = "user.offline"
	RoomOccupied = "room.occupied"
	RoomVacated  = "room.vacated"
)

// Bounds of notices.
const (
	NoticePause  = 45 * time.Second // for which a notice is put off at most
	NoticeClaim  = 10 * time.Second // if NoticeLimits don't say otherwise
	MaxWaiting   = 100_000          // users and rooms that notices wait of
	MaxWaitingOf = 64 << 10         // bytes of those of one
	MaxDead      = 1000             // notices that nobody took, of which the oldest go
)

// ErrNoNotice: there is no dead notice of that id.
var ErrNoNotice = errors.New("broker: no such notice")

// NoticeLimits says whether an app is told of presence, and how. They are the same on all relays.
type NoticeLimits struct {
	On    bool          // zero: nothing is noticed
	Grace time.Duration // how long a user must be gone, or a room be empty, to be told of
	Keep  time.Duration // how long a notice is tried
	Claim time.Duration // after which a notice that was taken is given to another relay, up to NoticePause; zero: NoticeClaim
}

// ClaimTime is Claim, or the default.
func (l NoticeLimits) ClaimTime() time.Duration {
	return min(cmp.Or(max(l.Claim, 0), NoticeClaim), NoticePause)
}

// Notice is a change of presence that an app outside is to be told of. Exactly one of User and Room is
// not empty.
type Notice struct {
	Kind  string
	ID    string // the same whenever it is told
	At    int64  // milliseconds since 1970, by the store's clock: when it came to be so
	Fence uint64 // rises with every notice of the store, below 2^53: of two of one user or room, the higher is the newer
	User  string // JSON of the User
	Room  string

	Claim Claim
}

// Claim is what a broker knows of a notice that it gave to this relay.
type Claim struct {
	Turn    string        // names the place in the store's queue
	Subject string        // the user or the room
	Age     time.Duration // how long it had been tried when it was taken, by the store's clock
	Taken   time.Time     // by this process'
	Until   time.Time     // when it is given to another relay
}

// Tried is how long a notice has been tried by now, by the store's clock.
func (n Notice) Tried() time.Duration { return n.Claim.Age + time.Since(n.Claim.Taken) }

// DeadNotice is a notice that nobody took in time.
type DeadNotice struct {
	Notice
	Dead string // names it in the list: the higher, the later it died
	Why  string // what came of the last try
}

// Notices are what an app outside is told of presence: that a user is connected to some relay, or to none
// any more, and that a room has users, or has none. Each is written in the step that changes presence, is
// told at least once, and of one user, or one room, in the order of their fences.
type Notices interface {
	// Online records that a user is connected to this relay, Offline that the user no longer is. They
	// return at once: what the store can't take now is made good later, as with Enter and Leave. If this
	// relay ends without a word, its users go when its lease does.
	Online(user User)
	Offline(userID string)
	// TakeNotices returns at most so many notices for the caller to tell; it waits until there are some.
	// Of one user, or one room, no other is given to anybody until this one is acked or dead. What is
	// neither acked nor retried within Claim is given to whoever asks then.
	TakeNotices(ctx context.Context, most int) ([]Notice, error)
	// AckNotice notes that the app has taken a notice.
	AckNotice(ctx context.Context, n Notice) error
	// RetryNotice has a notice given to whoever asks after a pause, which is at most NoticePause. If it has
	// been tried for Keep it is dead instead, and the next of its user or room goes on.
	RetryNotice(ctx context.Context, n Notice, pause time.Duration, why string) (dead bool, err error)
	// DeadNotices returns at most limit dead notices, the newest first: those before one, unless that is
	// empty.
	DeadNotices(ctx context.Context, before string, limit int) ([]DeadNotice, error)
	// ResendNotice has a dead notice told after all, as it was: with the fence and the id that it had, and
	// behind those that wait. ErrNoNotice: there is none.
	ResendNotice(ctx context.Context, dead string) error
}

// Subjects name a user or a room in one string.
const (
	subjectUser = "u"
	subjectRoom = "r"
)

// UserSubject names a user among subjects of notices, RoomSubject a room.
func UserSubject(id string) string { return subjectUser + id }

// RoomSubject names a room among subjects of notices.
func RoomSubject(room string) string { return subjectRoom + room }

// NoticeOf is a notice of a subject: that it is there, or is gone. user is the JSON of a user, empty for
// a room.
func NoticeOf(subject string, there bool, user string) (n Notice) {
	n.Claim.Subject = subject
	if len(subject) > 0 && subject[:1] == subjectUser {
		n.User, n.Kind = user, UserOffline
		if there {
			n.Kind = UserOnline
		}
		return n
	}
	if len(subject) > 0 {
		n.Room = subject[1:]
	}
	if n.Kind = RoomVacated; there {
		n.Kind = RoomOccupied
	}
	return n
}

// noticeID names a notice for ever: the store has no other of that fence.
func noticeID(subject string, fence uint64) string {
	sum := sha256.Sum256([]byte(subject + " " + strconv.FormatUint(fence, 10)))
	return "presence-" + hex.EncodeToString(sum[:10])
}
