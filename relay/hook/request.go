package hook

import (
	"encoding/json"
	"net/netip"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// Request is what the app is asked, in JSON. Which of its members are there, besides the first nine, the
// type says.
type Request struct {
	Type    metrics.Hook    `json:"type"`
	ID      string          `json:"id"` // of this request; the header webhook-id
	At      int64           `json:"at"` // when it was made, in milliseconds since 1970
	Relay   string          `json:"relay"`
	Region  string          `json:"region"`
	Session string          `json:"session"` // Socket.IO's sid
	User    broker.User     `json:"user"`
	Rooms   []string        `json:"rooms"`          // in which the session is
	Data    json.RawMessage `json:"data,omitempty"` // what the app had kept with the session

	// Caller is by whose doing the app is asked: an address. One of many has a part of the turns.
	Caller netip.Addr `json:"-"`

	*Connect
	*Event
	*Entry
}

// Connect is what a request of type connect has beside.
type Connect struct {
	// Recovering says that the client wants to go on with the session. If that can't be had, the app is
	// asked once more, for another session.
	Recovering bool              `json:"recovering,omitempty"`
	Auth       json.RawMessage   `json:"auth,omitempty"` // the payload of the CONNECT, if there was one
	Headers    map[string]string `json:"headers"`        // of HOOK_HEADERS, in lower case
	Query      map[string]any    `json:"query"`          // a string, or a list of them, by name
	Address    string            `json:"address"`
}

// Event is what a request of type event has beside.
type Event struct {
	Event    string            `json:"event"`
	Args     []json.RawMessage `json:"args"`
	WantsAck bool              `json:"wantsAck"`
}

// Entry is what requests of type join and publish have beside.
type Entry struct {
	Room    string   `json:"room"`
	Message *Message `json:"message,omitempty"` // of publish
}

// Message is what is published: data, or an event with its arguments.
type Message struct {
	ID    string            `json:"id,omitempty"`
	Data  json.RawMessage   `json:"data,omitempty"`
	Event string            `json:"event,omitempty"`
	Args  []json.RawMessage `json:"args,omitempty"`

	// Annotates says that it is a reaction to another message, or an edit of one: data is the reaction, or
	// what that message is to say.
	Annotates *Annotates `json:"annotates,omitempty"`
}

// Annotates is what an annotation is, and of which message.
type Annotates struct {
	Offset string `json:"offset"`
	Kind   string `json:"kind"` // "reaction" or "edit"
}
