package dev

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"setu/relay/metrics"
)

// Who answered a request.
const (
	byRule   = "rule"
	byApp    = "app"
	byNobody = "nobody" // there is no rule, and the app is not asked of it: it was allowed, as without hooks
)

// Bounds of what is written down.
const (
	maxRecords = 200
	maxText    = 2000 // bytes of a text on the page
	maxLine    = 160  // bytes of a text in a line
)

// Record is a request that the relay made, and what came of it. Its texts are cut.
type Record struct {
	N    uint64       `json:"n"`  // counts them from 1
	At   int64        `json:"at"` // milliseconds since 1970
	Type metrics.Hook `json:"type"`

	Name    string `json:"name"`             // of the event, or of the room
	Detail  string `json:"detail"`           // JSON: the arguments, the message, what CONNECT brought
	User    string `json:"user"`             // the name, or the id
	Session string `json:"session"`          //
	By      string `json:"by"`               // who answered
	Rule    string `json:"rule,omitempty"`   // which, of the rules
	Status  int    `json:"status,omitempty"` // of HTTP
	Answer  string `json:"answer"`
	Error   string `json:"error,omitempty"` // why there was no answer

	Millis float64 `json:"ms"`

	asked  asked
	answer []byte
}

// journal keeps the newest records, and prints each.
type journal struct {
	mu sync.Mutex

	// guarded by mu
	out  io.Writer
	last uint64
	ring []Record // oldest first
}

// add takes a record.
func (j *journal) add(r Record) {
	r.describe()
	line := r.line()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	r.N = j.last
	if len(j.ring) == maxRecords {
		j.ring = append(j.ring[:0], j.ring[1:]...)
	}
	j.ring = append(j.ring, r)
	_, _ = io.WriteString(j.out, line) // a terminal: lines stay whole
}

// say prints a line of its own.
func (j *journal) say(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = fmt.Fprintln(j.out, text)
}

// since returns the records after the n-th that are still kept, and the number of the last one.
func (j *journal) since(n uint64) (some []Record, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	some = []Record{} // in JSON a list
	for _, r := range j.ring {
		if r.N > n || n > j.last { // of another run
			some = append(some, r)
		}
	}
	return some, j.last
}

// describe writes the texts of r by what was asked and answered.
func (r *Record) describe() {
	q := r.asked
	r.Type, r.Session = q.Type, q.Session
	if r.User = q.User.Name; r.User == "" {
		r.User = q.User.ID
	}
	r.Name = clip(q.name(), maxText)
	switch {
	case q.Type == metrics.HookEvent:
		r.Detail = readable(q.Args)
	case q.Message != nil:
		r.Detail = readable(q.Message)
	case q.Auth != nil:
		r.Detail = readable(withoutSecrets(q.Auth))
	}
	r.Answer = readable(r.answer)
	r.asked, r.answer = asked{}, nil
}

// secrets are the members of what a CONNECT brings that are the client's own.
var secrets = []string{"token", "key", "pid"}

// withoutSecrets returns what a CONNECT brought, but for what is secret: terminals are shown to others.
func withoutSecrets(auth json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(auth, &members) != nil {
		return auth
	}
	for _, name := range secrets {
		if members[name] != nil {
			members[name] = json.RawMessage(`"(not shown)"`)
		}
	}
	text, _ := json.Marshal(members) // valid JSON all of it
	return text
}

// readable returns JSON on one line, and without escapes that it does not need; other texts as they are. It is
// cut.
func readable(text []byte) string {
	v := jsontext.Value(bytes.Clone(bytes.TrimSpace(text)))
	if len(v) > 0 && v.Format(jsontext.PreserveRawStrings(false), jsontext.EscapeForHTML(false), jsontext.AllowDuplicateNames(true)) != nil {
		return clip(string(text), maxText)
	}
	return clip(string(v), maxText)
}

// clip returns a text of at most so many bytes, and a few that say that there was more.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// printable returns a text as a terminal may be sent it: on one line, and without what would move its cursor.
func printable(s string) string {
	var out strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			out.WriteRune(c)
		} else {
			quoted := strconv.QuoteRune(c)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return out.String()
}

// line is r for a terminal:
//
//	15:04:05.123 event "chat message" ["hi"], Ann → rule "chat *": {"ack":["ok"]} (0.1 ms)
func (r *Record) line() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s", time.UnixMilli(r.At).Format("15:04:05.000"), r.Type)
	if r.Name != "" {
		fmt.Fprintf(&out, " %q", clip(r.Name, maxLine))
	}
	if r.Detail != "" {
		out.WriteString(" " + clip(r.Detail, maxLine))
	}
	if r.User != "" {
		out.WriteString(", " + clip(r.User, maxLine))
	}
	out.WriteString(" → " + r.outcome())
	return printable(out.String()) + "\n"
}

// outcome is what came of r.
func (r *Record) outcome() string {
	var who string
	switch {
	case r.By == byNobody:
		return "not asked: allowed"
	case r.By == byRule && r.Rule != "connect":
		who = fmt.Sprintf("rule %q", r.Rule)
	default:
		who = r.By
	}
	if r.Error != "" {
		return fmt.Sprintf("%s: no answer: %s (%.1f ms)", who, clip(r.Error, maxLine), r.Millis)
	}
	status := ""
	if r.Status != 200 {
		status = fmt.Sprintf(" %d", r.Status)
	}
	return fmt.Sprintf("%s:%s %s (%.1f ms)", who, status, clip(r.Answer, maxLine), r.Millis)
}
