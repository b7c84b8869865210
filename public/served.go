package public

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"time"

	"setu/wasmclient/chat"
)

// The newest messages of a room stand in its page as text, so that they are read before the program is
// there, which is a hundred times as large. The program takes the elements over: they are those that it
// would write. Templates escape what others have written; nothing in it is markup.

const (
	servedMessages = 20
	servedText     = 24_000 // bytes of their texts
)

// emptyList is where they come in the page.
const emptyList = `<div id="list" class="list"></div>`

//go:embed rows.html
var rowsText string

var rowsTemplate = template.Must(template.New("rows.html").Parse(rowsText))

// servedList is what the template is given.
type servedList struct {
	Room, Shown string
	Assumed     bool // the address names no room: whoever has been here before may come into another one
	Rows        []servedRow
}

type servedRow struct {
	*chat.Entry
	Class    string
	Parts    []servedPart
	Quote    string // whom it answers, or ""
	Width    int    // of its picture, which comes with the program
	Height   int
	Excerpt  string // of what it answers
	Files    string // the size of its first attachment, if that is all
	Long     bool
	Hue      int
	Monogram string
	Time     string
}

// firstRoom is the room that the program opens for somebody who has not been here, if the address names
// none.
const firstRoom = "lobby"

// servedRoom returns the room whose messages the page of a request is to show, or "": people ask for a
// document, and programs and the service worker for the page alone.
func servedRoom(r *http.Request) (room string, assumed bool) {
	if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return "", false
	}
	room = chat.RoomAt(r.URL.EscapedPath(), r.URL.RawQuery)
	if room == "" {
		return firstRoom, true
	}
	return room, false
}

// writeRows returns the list of the messages, given as a relay tells them: a JSON array, oldest first. It
// returns nil if there are none.
func writeRows(room string, assumed bool, messages []byte) []byte {
	list := servedList{Room: room, Shown: chat.Shown(room), Assumed: assumed, Rows: rowsOf(messages)}
	if len(list.Rows) == 0 {
		return nil
	}
	var out bytes.Buffer
	if rowsTemplate.Execute(&out, list) != nil {
		return nil // cannot happen: a buffer accepts all writes
	}
	return out.Bytes()
}

// rowsOf returns the newest messages, as many as are to be served.
func rowsOf(text []byte) []servedRow {
	var messages []storedMessage
	if json.Unmarshal(text, &messages) != nil {
		return nil
	}
	// Where a day begins is up to the browser, so here all are of one.
	t := chat.NewTimeline(func(at int64) int { return -int(at / time.Minute.Milliseconds()) })
	left := servedText
	kept := len(messages)
	for ; kept > 0 && len(messages)-kept < servedMessages; kept-- {
		if left -= messages[kept-1].length(); left < 0 {
			break
		}
	}
	for _, m := range messages[kept:] {
		t.Append(m.message())
	}
	var rows []servedRow
	for _, r := range t.Rows() {
		if r.Kind == chat.RowMessage {
			rows = append(rows, rowOf(r, t))
		}
	}
	return rows
}

func rowOf(r chat.Row, t *chat.Timeline) servedRow {
	e := r.Entry
	row := servedRow{Entry: e, Class: r.Class(), Long: e.Body.Long(), Hue: chat.Hue(e.From.ID), Monogram: chat.Monogram(e.From.Name),
		Time: chat.ISOTime(e.At)}
	if e.Body.Reply != nil {
		row.Quote, row.Excerpt, _ = t.Quoted(e.Body.Reply)
	}
	text := chat.Folded(e.Body.Text)
	switch {
	case e.Body.Kind == chat.BodyPicture:
		row.Width, row.Height = e.Body.Picture.InList()
	case e.Body.Kind == chat.BodyFile && text == "":
		row.Files = chat.Size(len(e.Body.Files[0]))
	case text == "":
		row.Parts = []servedPart{{Segment: chat.Segment{Text: chat.BlankMessage}}}
	case e.Body.Kind == chat.BodyUnknown:
		row.Parts = []servedPart{{Segment: chat.Segment{Text: text}}}
	}
	if row.Parts != nil || text == "" {
		return row
	}
	for _, s := range chat.Format(text, e.Body.Names()) {
		if s.Href != "" && chat.LooksLikeAnother(chat.Host(s.Href)) {
			s.Href = "" // how its host is written safely is known to the browser
		}
		if s.Style&chat.Mark == 0 {
			row.Parts = append(row.Parts, servedPart{s})
		}
	}
	return row
}

// servedPart is a part of a text, whose style the template asks for.
type servedPart struct{ chat.Segment }

func (p servedPart) Bold() bool    { return p.Style&chat.Bold != 0 }
func (p servedPart) Italic() bool  { return p.Style&chat.Italic != 0 }
func (p servedPart) Code() bool    { return p.Style&chat.Code != 0 }
func (p servedPart) Block() bool   { return p.Style&chat.CodeBlock != 0 }
func (p servedPart) Mention() bool { return p.Style&chat.Mention != 0 }

// storedMessage is a message as a relay tells it.
type storedMessage struct {
	Seq    int64             `json:"seq"`
	ID     string            `json:"id"`
	From   user              `json:"from"`
	At     int64             `json:"at"`
	Data   json.RawMessage   `json:"data"`
	Event  string            `json:"event"`
	Args   []json.RawMessage `json:"args"`
	Offset string            `json:"offset"`

	Annotations storedAnnotations `json:"annotations"`
}

// storedAnnotations are a message's, as a relay tells them to somebody who is nobody yet.
type storedAnnotations struct {
	Rev       int64 `json:"rev"`
	Reactions map[string]struct {
		Count int `json:"count"`
	} `json:"reactions"`
	Edited struct {
		At int64 `json:"at"`
	} `json:"edited"`
	Deleted bool `json:"deleted"`
}

func (n storedAnnotations) annotations() chat.Annotations {
	out := chat.Annotations{Rev: n.Rev, EditedAt: n.Edited.At, Deleted: n.Deleted}
	for value, r := range n.Reactions {
		out.Reactions = append(out.Reactions, chat.Reaction{Value: value, Count: r.Count})
	}
	chat.SortReactions(out.Reactions)
	return out
}

type user struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Guest bool   `json:"guest"`
}

func (m storedMessage) length() int {
	n := len(m.Data)
	for _, a := range m.Args {
		n += len(a)
	}
	for _, a := range attachmentsOf(m.Data) {
		n -= len(a) * 4 / 3 // a picture is not written into the page
	}
	return n
}

// message returns m as the program takes it.
func (m storedMessage) message() chat.Message {
	out := chat.Message{Seq: m.Seq, ID: m.ID, From: chat.User{ID: m.From.ID, Name: chat.Shown(m.From.Name), Guest: m.From.Guest},
		At: m.At, Data: m.Data, Offset: m.Offset, Attachments: attachmentsOf(m.Data), Annotations: m.Annotations.annotations()}
	if m.Event != "" {
		out.Data, _ = json.Marshal(map[string]any{"event": m.Event, "args": m.Args}) // a string, and JSON that was read
		for _, a := range m.Args {
			out.Attachments = append(out.Attachments, attachmentsOf(a)...)
		}
	}
	return out
}

// attachmentsOf returns the attachments in JSON, in which they are objects of base64.
func attachmentsOf(text json.RawMessage) (out [][]byte) {
	const key = `{"$binary":"`
	for rest := string(text); ; {
		_, after, found := strings.Cut(rest, key)
		if !found {
			return out
		}
		encoded, after, _ := strings.Cut(after, `"`)
		if data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "=")); err == nil {
			out = append(out, data)
		}
		rest = after
	}
}
