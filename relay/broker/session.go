package broker

import (
	"context"
	"errors"
	"slices"
)

// ErrGone: nothing is kept under that name (any more), or what is kept cannot be gone on with from
// there.
var ErrGone = errors.New("broker: gone")

// Session is what a broker keeps of a client's connection, so that another connection can go on
// with it.
type Session struct {
	ID    string // names the connection to others
	User  User
	Keyed bool         // the user showed a key: whoever resumes has to show it, too
	Rooms []Membership // in the order of joining
	Data  string       // what the application has kept with it, at most MaxSessionData bytes; opaque here
}

// MaxSessionData bounds Session.Data, in bytes.
const MaxSessionData = 4096

// Membership is that of one session in one room.
type Membership struct {
	Room     string
	Since    Offset // where the room stood when it was joined: what the client was sent of it as events comes after this
	Presence bool

	Invisible bool // the session does not count as its user's being there
	Given     bool // the application has put it there: what its user may do does not decide whether it stays
}

// SessionHandle is the handle of the one connection that owns a kept session. Once somebody else
// has resumed the session, or it was ended or released, its methods do nothing, and Join and Leave
// return ErrGone. They may be called concurrently; only those two wait for the store.
type SessionHandle interface {
	// Join records a membership, and Leave that it is over; they return when that is stored. If the
	// store can't take it now it is remembered and made good later. Of a room that was joined already
	// Presence changes, and Since unless it is zero.
	Join(ctx context.Context, m Membership) error
	Leave(ctx context.Context, room string) error
	// IgnorePresence ends Presence of a membership.
	IgnorePresence(room string)
	// SetData changes Session.Data.
	SetData(data string)
	// Invalidate says that the client was told to go on in a room from another place than it was
	// followed to, and may not have heard of it yet: until Revalidate nobody can resume the
	// session.
	Invalidate(room string, since Offset)
	Revalidate()
	// End forgets the session, Release keeps it for whoever resumes it within Limits.Recovery.
	End()
	Release()
}

// Resumed is a session that goes on.
type Resumed struct {
	Session
	Handle SessionHandle
	Room   string // of the message that the client had last; empty if it knows of a moment only
	At     int64  // when that was stored, or the moment: the client has all that was stored before. 0: not known
}

// Peer is a relay as the others of its fleet reach it.
type Peer struct {
	Node    string `json:"-"`   // names the life of one relay process; random, given by the caller
	URL     string `json:"url"` // http://host:port on the private network
	Machine string `json:"machine,omitempty"`

	Place // told to clients
}

// leftKept is how many rooms that it left a session remembers: the last message that its client had
// may be of one of them.
const leftKept = 8

// Memberships are where a session is, and where it was lately.
type Memberships struct {
	Joined []Membership // in the order of joining
	Left   []string     // the latest last
}

// Find returns the index in Joined, -1 if the room is not joined.
func (s *Memberships) Find(room string) int {
	return slices.IndexFunc(s.Joined, func(m Membership) bool { return m.Room == room })
}

// Join reports whether it changed anything. Of a room that was joined already, Presence may change,
// and Since unless it is zero.
func (s *Memberships) Join(m Membership) bool {
	if i := s.Find(m.Room); i >= 0 {
		was := s.Joined[i]
		if m.Since.IsZero() {
			m.Since = was.Since
		}
		s.Joined[i] = m
		return was != m
	}
	s.Joined = append(s.Joined, m)
	return true
}

// Leave reports whether the room was joined.
func (s *Memberships) Leave(room string) bool {
	i := s.Find(room)
	if i < 0 {
		return false
	}
	s.Joined = slices.Delete(s.Joined, i, i+1)
	s.Left = slices.DeleteFunc(s.Left, func(l string) bool { return l == room })
	s.Left = append(s.Left, room)
	s.Left = s.Left[max(0, len(s.Left)-leftKept):]
	return true
}

// IgnorePresence reports whether the room was joined with Presence.
func (s *Memberships) IgnorePresence(room string) bool {
	i := s.Find(room)
	if i < 0 || !s.Joined[i].Presence {
		return false
	}
	s.Joined[i].Presence = false
	return true
}

// Move says that the session is followed in a room from another place on.
func (s *Memberships) Move(room string, since Offset) {
	if i := s.Find(room); i >= 0 {
		s.Joined[i].Since = since
	}
}
