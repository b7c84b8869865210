package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"setu/relay/auth"
	"setu/relay/metrics"
)

// Reply is what the app decided. Its zero value, an empty answer, allows what was asked, and does nothing.
type Reply struct {
	User   *User           `json:"user"`   // of connect: whose connection it is
	Rights *auth.Rooms     `json:"rights"` // what it may do from now on
	Rooms  []string        `json:"rooms"`  // of connect: those that it is to be in
	Data   json.RawMessage `json:"data"`   // kept with the session; null: nothing any more
	Ack    Arguments       `json:"ack"`    // of event
	Join   []string        `json:"join"`
	Leave  []string        `json:"leave"`
	Emit   []Emission      `json:"emit"`
	End    bool            `json:"disconnect"`
	Change *struct {       // of publish: what is published in place of what was asked
		Data  Argument  `json:"data"`
		Event string    `json:"event"`
		Args  Arguments `json:"args"`
	} `json:"message"`
}

// User is whose connection it is, by the app's word.
type User struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Arguments are those of an event, or of an ack. Placeholders stand for what is binary.
type Arguments struct {
	Values      []json.RawMessage
	Attachments [][]byte
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Arguments) UnmarshalJSON(raw []byte) error {
	if raw[0] == 'n' {
		return nil // null: as if it were not there
	}
	if raw[0] != '[' {
		return errors.New("must be a list")
	}
	var values []json.RawMessage
	err := jsonv2.Unmarshal(raw, &values)
	if err == nil {
		a.Values, a.Attachments, err = lift(values)
	}
	return err
}

// Argument is one value, as a list of one.
type Argument struct{ Arguments }

// UnmarshalJSON implements json.Unmarshaler.
func (a *Argument) UnmarshalJSON(raw []byte) (err error) {
	a.Values, a.Attachments, err = lift([]json.RawMessage{raw})
	return err
}

// Emission is an event for the asking session or, if one of them is named, for a room, a user or another
// session.
type Emission struct {
	Room    string    `json:"room"`
	User    string    `json:"user"`
	Session string    `json:"session"`
	Event   string    `json:"event"`
	Args    Arguments `json:"args"`
	Stored  bool      `json:"stored"` // of a room: it is in its history, and recovered
	Self    *bool     `json:"self"`   // of a room: false leaves the asking session out
}

// Refusal is the app's no.
type Refusal struct{ Code, Message string }

func (r *Refusal) Error() string { return "the app refuses: " + r.Code }

// Bounds of an answer.
const (
	MaxData    = 4096 // bytes of what is kept with a session
	maxActions = 200  // rooms of each list, and emissions
	maxCode    = 64   // bytes
	maxMessage = 1000 // bytes
)

// readReply reads an answer to a request of this type. The error, a *Refusal aside, says what is wrong with
// the answer, for whoever wrote the app: it holds nothing of it but names.
func readReply(kind metrics.Hook, a Answer) (*Reply, error) {
	switch {
	case a.Status >= 400 && a.Status < 500 && !a.isAway() && a.Status != http.StatusRequestTimeout:
		return nil, readRefusal(a)
	case !a.OK():
		return nil, fmt.Errorf("its status is %d", a.Status)
	}
	r := &Reply{}
	body := bytes.TrimSpace(a.Body)
	if len(body) == 0 {
		return r, nil
	}
	if body[0] != '{' { // null would do for one
		return nil, errNoObject
	}
	if err := jsonv2.Unmarshal(body, r); err != nil {
		return nil, explain(err)
	}
	return r, r.check(kind)
}

// explain returns what is wrong with an answer, by the name of the member.
func explain(err error) error {
	var wrong *jsonv2.SemanticError
	if errors.As(err, &wrong) && wrong.JSONPointer != "" {
		why := errors.New("is not of its type")
		if wrong.Err != nil {
			why = wrong.Err
		}
		name := wrong.JSONPointer
		if pointer, _, ok := strings.Cut(string(name)[1:], "/"); ok {
			name = jsontext.Pointer("/" + pointer) // deeper down names are the app's data
		}
		return fmt.Errorf("%s: %w", string(name)[1:], why)
	}
	return errNoObject
}

var errNoObject = errors.New("it is no JSON object")

// readRefusal returns the *Refusal of an answer whose status is 4xx. What a gateway answers when it finds no
// app has no code, and is none.
func readRefusal(a Answer) error {
	var r struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if err := jsonv2.Unmarshal(a.Body, &r); err != nil || !isText(r.Code, maxCode) || r.Code == "" {
		return fmt.Errorf("its status is %d, without a code", a.Status)
	}
	if r.Message == "" {
		r.Message = r.Code
	}
	if !isText(r.Message, maxMessage) {
		return fmt.Errorf("its message must have at most %d bytes, and no control characters", maxMessage)
	}
	return &Refusal{r.Code, r.Message}
}

// check returns what is wrong with an answer to a request of this type. What a room, a user or an event is
// called is for others to judge.
func (r *Reply) check(kind metrics.Hook) error {
	switch {
	case kind != metrics.HookConnect && (r.User != nil || r.Rooms != nil):
		return errors.New("user and rooms are for what is asked on connect alone")
	case kind != metrics.HookEvent && r.Ack.Values != nil:
		return errors.New("ack is for what is asked on event alone")
	case kind != metrics.HookPublish && r.Change != nil:
		return errors.New("message is for what is asked on publish alone")
	case r.Change != nil && (r.Change.Data.Values != nil) == (r.Change.Event != ""):
		return errors.New("message has either data or an event")
	case max(len(r.Rooms), len(r.Join), len(r.Leave), len(r.Emit)) > maxActions:
		return fmt.Errorf("rooms, join, leave and emit have at most %d items each", maxActions)
	}
	for i, e := range r.Emit {
		if err := e.check(); err != nil {
			return fmt.Errorf("emit[%d]: %w", i, err)
		}
	}
	return r.compactData()
}

func (r *Reply) compactData() error {
	if r.Data == nil {
		return nil
	}
	v := jsontext.Value(bytes.Clone(r.Data))
	if err := v.Compact(); err != nil {
		return err
	}
	if r.Data = json.RawMessage(v); len(v) > MaxData {
		return fmt.Errorf("data has %d bytes: at most %d are kept", len(v), MaxData)
	}
	return nil
}

func (e Emission) check() error {
	targets := 0
	for _, t := range []string{e.Room, e.User, e.Session} {
		if t != "" {
			targets++
		}
	}
	switch {
	case targets > 1:
		return errors.New("it is for a room, a user or a session")
	case e.Room == "" && (e.Stored || e.Self != nil):
		return errors.New("stored and self are for rooms")
	}
	return nil
}

// isText reports whether s is UTF-8 of at most so many bytes, without control characters.
func isText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
