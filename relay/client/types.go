package client

import (
	"encoding/json"
	"time"
)

// User is a person as others see them. ID is public; Name is chosen by the person or given by their
// token.
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Guest bool   `json:"guest"`

	// Region and Relay are where the user's connection is that this is about, or the latest of several. Either
	// is empty if it is not known, as Relay is in live messages.
	Region string `json:"region"`
	Relay  string `json:"relay"`
	// Places are all of them, if the user is in the room over several relays; else empty.
	Places Places `json:"places"`
}

// Place is a relay, and the region that it is in.
type Place struct {
	Region string `json:"region"`
	Relay  string `json:"relay"`
}

// Places is a list of places, as JSON: so a User can be compared.
type Places string

// UnmarshalJSON implements json.Unmarshaler.
func (p *Places) UnmarshalJSON(text []byte) error {
	if *p = Places(text); *p == "null" {
		*p = ""
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (p Places) MarshalJSON() ([]byte, error) {
	if p == "" {
		return []byte("null"), nil
	}
	return []byte(p), nil
}

// All returns the places, the latest last; what is no list has none.
func (p Places) All() (all []Place) {
	if p == "" || json.Unmarshal([]byte(p), &all) != nil {
		return nil
	}
	return all
}

// Relay is a relay that takes new clients. URL is where browsers reach those of its region, if they are to go
// there by themselves; else any relay brings them there: see Options.Region.
type Relay struct {
	Place
	URL string `json:"url"`
}

// Message is one message of a room's history, or one named event: what was published under a name of
// the application's has Event and Args, and no Data.
type Message struct {
	Room   string          `json:"room"`
	Seq    int64           `json:"seq"` // counts from 1, and again if all of a room have expired
	ID     string          `json:"id"`  // given by the publisher, unique among their own messages
	From   User            `json:"from"`
	At     int64           `json:"at"`   // ms since 1970 by the store's clock
	Data   json.RawMessage `json:"data"` // as published but for the numbers of attachments
	Offset string          `json:"offset"`

	Event string          `json:"event"` // empty: it is no named event
	Args  json.RawMessage `json:"args"`  // the arguments, a JSON array

	// Annotations is how what was said of the message stood as the relay listed it; zero: there was
	// nothing, or the message came by itself. A message that was deleted has Data null.
	Annotations Annotations `json:"annotations"`

	// Attachments are what {"_placeholder":true,"num":n} in Data or Args stands for, with n from 0 (see
	// Attachment). If n is not an index of Attachments, such an object is ordinary data.
	Attachments [][]byte `json:"-"`

	// Recovered reports whether the message was missed while there was no connection and came with
	// the rejoin.
	Recovered bool `json:"-"`
}

// Signal is data that is sent to a room and not stored: typing, a cursor. Under a name of the
// application's it has Event and Args, and no Data, as a Message.
type Signal struct {
	Room string          `json:"room"`
	From User            `json:"from"`
	Data json.RawMessage `json:"data"`

	Event string          `json:"event"`
	Args  json.RawMessage `json:"args"`

	Attachments [][]byte `json:"-"` // as a Message's
}

// Presence is a change of who is in a room. For a large room only Count is set.
type Presence struct {
	Room   string `json:"room"`
	Count  int    `json:"count"`
	Joined []User `json:"joined"`
	Left   []User `json:"left"`

	// Renamed are users who were in the room already, under their new names, or at other places than before.
	Renamed []User `json:"renamed"`

	// Members is the whole list, if the relay may have missed changes and sends it again; else nil.
	Members []User `json:"members"`
}

// Reset reports that messages of a room may be missing for good, and gives its present state
// instead: Messages, oldest first, replace what was known before. They are not passed to
// Handler.Message as well.
type Reset struct {
	Room     string    `json:"room"`
	Reason   string    `json:"reason"` // the relay's, or "rejoin" if a rejoin could not recover
	Offset   string    `json:"offset"`
	Messages []Message `json:"messages"`
	Count    int       `json:"count"`
}

// Welcome is the first event on each connection.
type Welcome struct {
	Relay  string `json:"relay"`
	Region string `json:"region"`
	User   User   `json:"user"` // who this client is to others
	Epoch  string `json:"epoch"`

	// Left are rooms in which the client was and may not be any more, since its rights were narrowed
	// while it was away: the relay has taken it out of them, and it does not try to get in again.
	Left []string `json:"left"`

	// Lobby is the room that the relay has everybody in; empty: there is none, or this client may not be in
	// it. The client hears of it what it hears of rooms once it has joined it.
	Lobby string `json:"lobby"`

	// Raw is the whole event's argument, including the relay's limits.
	Raw json.RawMessage `json:"-"`
}

// JoinOptions is what a Join asks for besides the live messages.
type JoinOptions struct {
	Since    string `json:"since,omitempty"`    // an offset: all messages after it
	History  int    `json:"history,omitempty"`  // the last n; with Since, only if that can't be met
	Presence bool   `json:"presence,omitempty"` // the list of members, and an event for each change
}

// Joined is the outcome of a Join, or of a rejoin after a reconnect.
type Joined struct {
	Room      string    `json:"room"`
	Offset    string    `json:"offset"`
	Recovered bool      `json:"recovered"` // nothing is missing since Since or the last connection
	Messages  []Message `json:"messages"`  // oldest first; nil for a rejoin: they go to the Handler

	// Annotations are those that were missed since Since, in order, of messages from before it, too; nil
	// for a rejoin: they go to the Handler.
	Annotations []Annotation `json:"annotations"`

	Count   int    `json:"count"`   // of members
	Members []User `json:"members"` // if presence was asked for; nil for a large room

	// Rights are what the token allows in this room, such as "join", "publish", "signal", "history"
	// and "members"; nil: all of these.
	Rights []string `json:"rights"`

	// Missed is the number of messages that a rejoin recovered.
	Missed int `json:"-"`
}

// Published describes a message that the relay has stored.
type Published struct {
	Room      string `json:"room"`
	ID        string `json:"id"`
	Offset    string `json:"offset"`
	Seq       int64  `json:"seq"`
	At        int64  `json:"at"`        // ms since 1970 by the store's clock
	Duplicate bool   `json:"duplicate"` // stored before under this ID; the other fields tell where
}

// History is a page of older messages.
type History struct {
	Messages []Message `json:"messages"` // oldest first
	More     bool      `json:"more"`     // there are older ones
}

// Members is who is in a room, each user once. For a large room Count exceeds the list.
type Members struct {
	Count   int    `json:"count"`
	Members []User `json:"members"`
}

// Status is the status of a Client's connection.
type Status int

// A Client is Connecting at first, and goes between Connected, Waiting (for RetryAt) and Connecting
// until it is Closed.
const (
	Connecting Status = iota
	Connected
	Waiting
	Closed
)

func (s Status) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Waiting:
		return "waiting"
	default:
		return "closed"
	}
}

// State is the state of a Client's connection.
type State struct {
	Status  Status
	Relay   string // from the latest Welcome, like Region and User
	Region  string
	User    User
	RTT     time.Duration // round trip to the relay, the median of the last few; 0: not measured on this connection
	Store   time.Duration // the relay's own to its store, as it says; 0: not known
	Attempt int           // consecutive failures, and one more while Connecting; 0 while Connected
	RetryAt time.Time     // when the next attempt starts; zero unless Waiting
	Err     error         // why the last connection or attempt ended; nil while Connected
}
