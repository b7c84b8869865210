package room

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/socketio"
)

// A named event is a message that members hear under its own name, with its own arguments: as
// name(...args, offset). In lists it is an object that has event and args in place of data.
//
// Its body is
//
//	"event":<name>[,"except":<session>],"id":<id>,"from":<user>,"data":[<argument>,…]
//
// with attachments in the form that binaryBody begins. A relay that does not know named events makes a
// message of it, with event in the object and the arguments as its data.

// Event is a named event, as it is published.
type Event struct {
	Name   string
	Args   []json.RawMessage // of a binary event canonical
	Except string            // the ID of the connection that is not to hear it; empty: all hear it
}

// Bounds of a named event. With its name and its offset it is an event of socketio.MaxItems.
const (
	MaxEventName = 200 // bytes
	MaxEventArgs = socketio.MaxItems - 2
)

// eventMember begins the body of a named event. Other bodies begin with another member.
const eventMember = `"event":`

// own are the names of Setu's events, which applications can't have: those that clients send, those
// that relays send, and those that are to come.
var own = []string{
	"join", "leave", "publish", "signal", "history", "members", "token", "ping", "relays",
	"message", "presence", "reset", "token_expires", "joined", "left", "welcome", "error_event",
	"annotate", "annotation",
}

// CheckEvent returns why an application can't have an event of this name, for its publisher to read; nil
// if it can.
func CheckEvent(name string) error {
	switch {
	case name == "" || len(name) > MaxEventName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("event must be 1 to %d bytes of UTF-8 without control characters", MaxEventName)
	case socketio.Reserved(name):
		return fmt.Errorf("the event name %q is reserved by Socket.IO", name)
	case slices.Contains(own, name):
		return fmt.Errorf("the event name %q is one of Setu's own", name)
	}
	return nil
}

// EventBody returns the body of a named event, as Body does of a message. An error says what is wrong
// with e, for its publisher to read.
func EventBody(id string, from broker.User, e Event, attachments ...[]byte) (string, error) {
	return eventBody(e, append(broker.AppendString([]byte(`"id":`), id), ','), from, attachments)
}

// EventSignalBody returns the body of a signal that is heard as a named event, which e's Except does not
// concern: a signal says by itself whom it is from.
func EventSignalBody(from broker.User, e Event, attachments ...[]byte) (string, error) {
	e.Except = ""
	return eventBody(e, nil, from, attachments)
}

// eventBody writes a body; head stands before the member from.
func eventBody(e Event, head []byte, from broker.User, attachments [][]byte) (string, error) {
	if err := CheckEvent(e.Name); err != nil {
		return "", err
	}
	if len(e.Args) > MaxEventArgs {
		return "", fmt.Errorf("an event may have %d arguments", MaxEventArgs)
	}
	name, user := quote(e.Name), from.Text()
	size := len(name) + len(e.Except) + len(head) + len(user) + 48
	for _, a := range e.Args {
		size += len(a) + 1
	}
	b := append(append(make([]byte, 0, size), eventMember...), name...)
	if e.Except != "" {
		b = append(append(b, exceptMember...), quote(e.Except)...)
	}
	b = append(append(append(append(b, ','), head...), `"from":`...), user...)
	b = append(append(b, dataMember...), '[')
	for i, a := range e.Args {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, a...)
	}
	return pack(append(b, ']'), attachments), nil
}

const exceptMember = `,"except":`

// namedText is the JSON of a named event's body, in its parts.
type namedText struct {
	name   string // as JSON
	except string
	head   string // the members before the arguments
	args   string // with commas between them
}

// parseNamed takes the JSON of a body apart. It reports false if it is no named event's.
func parseNamed(text string) (e namedText, ok bool) {
	rest, ok := strings.CutPrefix(text, eventMember)
	if !ok {
		return e, false
	}
	if e.name, rest, ok = cutString(rest); !ok {
		return e, false
	}
	if after, has := strings.CutPrefix(rest, exceptMember); has {
		if e.except, rest, ok = cutString(after); !ok {
			return e, false
		}
		e.except = strings.Trim(e.except, `"`) // ids need no escaping
	}
	if rest, ok = strings.CutPrefix(rest, ","); !ok {
		return e, false
	}
	if e.head, rest, ok = strings.Cut(rest, dataMember); !ok || len(rest) < 2 || rest[0] != '[' || rest[len(rest)-1] != ']' {
		return e, false
	}
	e.args = rest[1 : len(rest)-1]
	return e, true
}

// cutString cuts the JSON string off that s begins with.
func cutString(s string) (quoted, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i+1], s[i+1:], true
		}
	}
	return "", "", false
}

// envelope is what a stored named event has beyond what a message has. Its object is the arguments alone:
// in a list they stand between head and tail.
type envelope struct {
	head, tail []byte
	except     string
}

// encodeNamed is encode of a named event.
func encodeNamed(room string, e namedText, attachments [][]byte, m broker.Message) stored {
	from, to := 0, 0 // of the arguments in the packet
	f := engineio.NewFrame(len(event)+len(e.name)+len(e.args)+broker.MaxOffset+16, func(dst []byte) []byte {
		start := len(dst)
		dst = append(append(appendEvent(dst, len(attachments)), '['), e.name...)
		dst = append(dst, ',')
		from = len(dst) - start
		dst = append(dst, e.args...)
		if to = len(dst) - start; to > from {
			dst = append(dst, ',')
		}
		return append(m.Offset().Append(append(dst, '"')), `"]`...)
	}, attachments...).At(m.Pos)
	n := &envelope{head: make([]byte, 0, len(room)+len(e.head)+len(e.name)+64+broker.MaxOffset), except: e.except}
	n.head = appendHead(n.head, room, e.head, m)
	n.head = append(append(append(n.head, `,"event":`...), e.name...), `,"args":[`...)
	head := len(n.head)
	all := appendOffset(append(n.head, ']'), m) // one piece of memory for both
	n.head, n.tail = all[:head:head], all[head:]
	s := stored{frame: f, object: f.Packet()[from:to:to], attached: len(attachments), envelope: n, at: m.At, notes: m.Notes}
	f.WithForm(engineio.Object, s.objectFrame)
	return s
}

// objectFrame returns a named event's frame for clients that asked for objects: a message, but for event
// and args in place of its data.
func (s stored) objectFrame(f *engineio.Frame) *engineio.Frame {
	return engineio.NewFrame(s.length()+broker.MaxOffset+32, func(dst []byte) []byte {
		dst = append(appendEvent(dst, s.attached), messageName...)
		dst = append(s.append(dst, 0), `,"`...)
		return append(append(dst, FrameOffset(f)...), `"]`...)
	}, slices.Collect(f.Attachments())...).At(f.Pos())
}

// isExcepted reports whether the connection of that ID is not to hear the message.
func (s stored) isExcepted(id string) bool {
	return s.envelope != nil && s.envelope.except != "" && s.envelope.except == id
}

// namedSignalFrame is signalFrame of a named event. A client that can recover takes a string at the end
// for an offset, so null follows one: also a name without arguments is a string.
func namedSignalFrame(room string, e namedText, attachments [][]byte) *engineio.Frame {
	object := func(*engineio.Frame) *engineio.Frame {
		return engineio.NewFrame(len(room)+len(e.name)+len(e.head)+len(e.args)+64, func(dst []byte) []byte {
			dst = append(append(appendEvent(dst, len(attachments)), `["signal",{"room":`...), room...)
			dst = append(append(append(dst, ','), e.head...), `,"event":`...)
			dst = append(append(append(dst, e.name...), `,"args":[`...), e.args...)
			return append(dst, `]}]`...)
		}, attachments...)
	}
	return engineio.NewFrame(len(e.name)+len(e.args)+16, func(dst []byte) []byte {
		dst = append(append(appendEvent(dst, len(attachments)), '['), e.name...)
		if e.args != "" {
			dst = append(append(dst, ','), e.args...)
		}
		if dst[len(dst)-1] == '"' {
			dst = append(dst, `,null`...)
		}
		return append(dst, ']')
	}, attachments...).WithForm(engineio.Object, object)
}
