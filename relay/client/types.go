package client

import (
	"encoding/json"
	"time"
)

// User is somebody as others may see him: ID is public, Name is what he calls himself (or his token does).
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Guest bool   `json:"guest"`
}

// Message is one message of a room's history.
type Message struct {
	Room   string          `json:"room"`
	Seq    int64           `json:"seq"` // counts the room's messages from 1; from 1 again when all of them have expired
	ID     string          `json:"id"`  // the publisher's, unique among his own
	From   User            `json:"from"`
	At     int64           `json:"at"`   // ms since 1970 by the store's clock
	Data   json.RawMessage `json:"data"` // as it was published, byte for byte, but for the numbers of attachments
	Offset string          `json:"offset"`

	// Attachments are what {"_placeholder":true,"num":n} in Data stands for, n counting from 0: see Attachment. Where n is
	// past them, and so in every message without any, such an object is data like any other.
	Attachments [][]byte `json:"-"`

	// Recovered: it was missed while there was no connection and came with the rejoin.
	Recovered bool `json:"-"`
}

// Signal is something that is not stored: typing, a cursor.
type Signal struct {
	Room string          `json:"room"`
	From User            `json:"from"`
	Data json.RawMessage `json:"data"`

	Attachments [][]byte `json:"-"` // as a Message's
}

// Presence is a change of who is in a room. Large rooms give Count alone.
type Presence struct {
	Room   string `json:"room"`
	Count  int    `json:"count"`
	Joined []User `json:"joined"`
	Left   []User `json:"left"`

	// Renamed are users who were there already, as they are called now.
	Renamed []User `json:"renamed"`

	// Members is everybody, where the relay may have missed changes and tells who is there anew; else nil.
	Members []User `json:"members"`
}

// Reset says that something of a room may be missing for good, and gives its present state instead: what was shown
// before gives way to Messages, oldest first. These don't come as messages again.
type Reset struct {
	Room     string    `json:"room"`
	Reason   string    `json:"reason"` // the relay's word, or "rejoin" where a rejoin could not recover
	Offset   string    `json:"offset"`
	Messages []Message `json:"messages"`
	Count    int       `json:"count"`
}

// Welcome is the relay's first word on each connection.
type Welcome struct {
	Relay  string `json:"relay"`
	Region string `json:"region"`
	User   User   `json:"user"` // who we are to others
	Epoch  string `json:"epoch"`

	// Raw is all of it, limits too.
	Raw json.RawMessage `json:"-"`
}

// JoinOptions says what a Join asks for besides the live messages.
type JoinOptions struct {
	Since    string `json:"since,omitempty"`    // an offset: all that came after it
	History  int    `json:"history,omitempty"`  // the last n messages; with Since, only where that can't be met
	Presence bool   `json:"presence,omitempty"` // the members, and each change of them
}

// Joined is what a Join, or a rejoin after a reconnect, came to.
type Joined struct {
	Room      string    `json:"room"`
	Offset    string    `json:"offset"`
	Recovered bool      `json:"recovered"` // Since was given, or it is a rejoin, and nothing is missing
	Messages  []Message `json:"messages"`  // oldest first; nil for a rejoin, whose messages came through the Handler
	Count     int       `json:"count"`     // of members
	Members   []User    `json:"members"`   // where presence was asked for and the room is not too large

	// Missed counts the messages that a rejoin recovered.
	Missed int `json:"-"`
}

// Published is where the relay stored a message.
type Published struct {
	Room      string `json:"room"`
	ID        string `json:"id"`
	Offset    string `json:"offset"`
	Seq       int64  `json:"seq"`
	At        int64  `json:"at"`        // ms since 1970 by the store's clock
	Duplicate bool   `json:"duplicate"` // it was stored before under the same id; the rest is about that one
}

// History is a page of older messages.
type History struct {
	Messages []Message `json:"messages"` // oldest first
	More     bool      `json:"more"`     // there are still older ones
}

// Members are who is in a room, each user once. A large room has more of them than it lists.
type Members struct {
	Count   int    `json:"count"`
	Members []User `json:"members"`
}

// Status is the connection's in a word.
type Status int

// A Client is Connecting at first, and goes between Connected, Waiting (for RetryAt) and Connecting until it is Closed.
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

// State is how the connection stands.
type State struct {
	Status  Status
	Relay   string        // of the latest Welcome, as Region and User
	Region  string        //
	User    User          //
	RTT     time.Duration // latest round trip to the relay; 0: not measured yet on this connection
	Attempt int           // connections tried since the last one that stood; 0 while Connected
	RetryAt time.Time     // when the next is tried; only while Waiting
	Err     error         // why the last connection, or attempt, ended; nil while Connected
}
