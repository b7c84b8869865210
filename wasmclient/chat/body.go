package chat

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// BodyKind is the kind of what a message says. A kind is read in [bodyOf], and shown by the program's
// writer of its number.
type BodyKind uint8

const (
	BodyText    BodyKind = iota // the page's own {"text": …}
	BodyPicture                 // the page's own {"image": …}, perhaps with a text
	BodyFile                    // attachments that are not shown
	BodyUnknown                 // another application's data
	BodyDeleted                 // nothing any more
	BodyKinds                   // how many there are
)

// Body is what is shown of a message. On the wire the page's own is
//
//	{"text": "…",
//	 "reply": {"offset", "seq", "from", "name", "excerpt"},
//	 "mentions": [{"id", "name"}, …],
//	 "image": {"data": an attachment, "alt": "…"}}
//
// of which all but one of text and image may be left out. Who reads text alone misses no words.
type Body struct {
	Kind BodyKind
	// Text is what was written, empty if nothing of it is seen. Of BodyUnknown it is the JSON.
	Text string
	// Reply is the message that this one answers, as its author has seen it.
	Reply    *Reply // nil if it answers none
	Mentions []Person
	// Picture is that of BodyPicture; of others it is nil.
	Picture *Picture
	// Files are those of BodyFile.
	Files [][]byte
}

// Reply tells which message another one answers, and quotes it.
type Reply struct {
	Offset  string `json:"offset"`
	Seq     int64  `json:"seq"`
	From    string `json:"from"` // its author's id
	Name    string `json:"name"`
	Excerpt string `json:"excerpt"`

	key string // of the message, on this page
}

// Person is somebody whose name stands in a text, after an @.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// maxRawText bounds what is shown of a message that is not a text, in bytes.
const maxRawText = 4000

// shape is the page's own data. What is beside the text does not keep it from being read.
type shape struct {
	Text     *string         `json:"text"`
	Reply    json.RawMessage `json:"reply"`
	Mentions json.RawMessage `json:"mentions"`
	Image    json.RawMessage `json:"image"`
}

// bodyOf returns the body of a message. Any data results in one.
func bodyOf(m *Message) *Body {
	if m.Annotations.Deleted {
		return &Body{Kind: BodyDeleted, Text: DeletedMessage}
	}
	if text, ok := textAlone(m.Data); ok {
		return &Body{Text: visible(normalize(text))}
	}
	var own shape
	err := json.Unmarshal(m.Data, &own)
	switch {
	case err == nil && own.Image != nil && len(m.Attachments) > 0:
		return own.picture(m)
	case err == nil && own.Image != nil && own.Text == nil:
		b := own.body() // it is stored without its picture
		b.Text = "Picture"
		return b
	case err == nil && own.Text != nil:
		return own.body()
	case len(m.Attachments) > 0:
		return &Body{Kind: BodyFile, Files: m.Attachments}
	}
	return unknownBody(m.Data)
}

// textAlone reads the page's own data if that is but a text that needs no escapes, as most are: what takes a
// hundredth of a frame of a slow machine otherwise.
func textAlone(data []byte) (text string, ok bool) {
	inner, ok1 := bytes.CutPrefix(data, []byte(`{"text":"`))
	inner, ok2 := bytes.CutSuffix(inner, []byte(`"}`))
	for _, c := range inner {
		if c == '"' || c == '\\' || c < ' ' {
			return "", false
		}
	}
	return string(inner), ok1 && ok2 && utf8.Valid(inner)
}

// body returns what is not a picture of the page's own data.
func (s *shape) body() *Body {
	b := &Body{}
	if s.Text != nil {
		b.Text = visible(normalize(*s.Text))
	}
	b.Reply, b.Mentions = readReply(s.Reply), readMentions(s.Mentions)
	return b
}

// picture returns a picture, or else a file.
func (s *shape) picture(m *Message) *Body {
	b := s.body()
	var image struct {
		Data struct {
			Num int `json:"num"`
		} `json:"data"`
		Alt string `json:"alt"`
	}
	_ = json.Unmarshal(s.Image, &image) // or it is the first attachment
	if image.Data.Num < 0 || image.Data.Num >= len(m.Attachments) {
		image.Data.Num = 0
	}
	picture := PictureOf(m.Attachments[image.Data.Num])
	if picture == nil || !picture.Shown() {
		b.Kind, b.Files = BodyFile, m.Attachments
		return b
	}
	picture.Alt = cut(oneLine(image.Alt), maxAlt)
	b.Kind, b.Picture = BodyPicture, picture
	return b
}

func unknownBody(data []byte) *Body {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(data), "", "  ") != nil {
		out.Reset()
		out.Write(data)
	}
	text := strings.ToValidUTF8(out.String(), "\uFFFD")
	if len(text) > maxRawText {
		text = text[:runeStart(text, maxRawText)] + "\n…"
	}
	return &Body{Kind: BodyUnknown, Text: text}
}

// Encode returns the data of a message that says b, as the page publishes it, and its attachments.
func (b *Body) Encode() (data any, attachments [][]byte) {
	type placeholder struct {
		Placeholder bool `json:"_placeholder"`
		Num         int  `json:"num"`
	}
	type image struct {
		Data placeholder `json:"data"`
		Alt  string      `json:"alt,omitempty"`
	}
	own := struct {
		Text     string   `json:"text,omitempty"`
		Reply    *Reply   `json:"reply,omitempty"`
		Mentions []Person `json:"mentions,omitempty"`
		Image    *image   `json:"image,omitempty"`
	}{Text: b.Text, Reply: b.Reply, Mentions: b.Mentions}
	if b.Picture != nil {
		own.Image = &image{placeholder{Placeholder: true}, b.Picture.Alt}
		attachments = [][]byte{b.Picture.Data}
	}
	return own, attachments
}

// withoutAttachments returns what is left of a body whose attachments are let go of.
func (b *Body) withoutAttachments() *Body {
	if b.Kind != BodyPicture && b.Kind != BodyFile {
		return b
	}
	text := b.Text
	if text == "" {
		text = "An attachment that is no longer kept on this page"
	}
	return &Body{Kind: BodyFile, Text: text, Reply: b.Reply, Mentions: b.Mentions}
}

// Same reports whether two bodies of one message look the same, as those before and after it was stored do.
func (b *Body) Same(other *Body) bool {
	return b == other || b.Kind == other.Kind && b.Text == other.Text && len(b.Files) == len(other.Files)
}

// Long reports whether a body is shown folded at first.
func (b *Body) Long() bool { return len(b.Text) > 3000 || strings.Count(b.Text, "\n") > 30 }

// isPlain reports whether all of a text is shown in one way.
func (b *Body) isPlain() bool {
	if b.Text == "" {
		return true
	}
	segments := Format(b.Text, b.Names())
	return len(segments) == 1 && segments[0].Href == "" && segments[0].Style == 0
}

// Shown returns the text that is shown of a body.
func (b *Body) Shown() string {
	if b.Text == "" {
		return BlankMessage
	}
	return b.Text
}

// Written returns what its author wrote, to be written again or copied, or "".
func (b *Body) Written() string {
	if b.Kind == BodyUnknown || b.Kind == BodyDeleted {
		return ""
	}
	return b.Text
}

// Copied returns what is copied of a message.
func (b *Body) Copied() string {
	if b.Text == "" && b.Picture != nil {
		return b.Picture.Alt
	}
	return b.Text
}

// Class returns the class of the element of a message that says it, or "".
func (b *Body) Class() string {
	switch {
	case b.Kind == BodyDeleted:
		return "deleted"
	case b.Kind == BodyPicture && b.Text == "":
		return "picture-only"
	case b.Kind == BodyFile && b.Text == "":
		return "file-only"
	case b.Text == "":
		return "blank"
	case b.Kind == BodyUnknown:
		return "raw"
	case b.Kind == BodyText && b.Reply == nil && EmojiOnly(b.Text):
		return "large"
	}
	return ""
}

// maxExcerpt and maxAlt bound what is quoted of a message, and said of a picture, in characters.
const (
	maxExcerpt = 140
	maxAlt     = 400
)

// Excerpt returns a line that says what a body is about, to be quoted.
func (b *Body) Excerpt() string {
	text := ShownText(Format(b.Text, nil))
	switch {
	case b.Kind == BodyUnknown:
		text = "data"
	case text == "" && b.Kind == BodyPicture:
		text = "Picture: " + b.Picture.Alt
		if b.Picture.Alt == "" {
			text = "Picture"
		}
	case text == "" && b.Kind == BodyFile:
		text = "File"
	}
	return cut(oneLine(text), maxExcerpt)
}

// oneLine returns a text with all white space as single spaces, and without what turns its direction.
func oneLine(text string) string {
	if len(text) > 4*maxAlt*4 {
		text = text[:runeStart(text, 4*maxAlt*4)]
	}
	text = strings.Join(strings.Fields(normalize(text)), " ")
	if isBlank(text) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if isBidiControl(r) {
			return -1
		}
		return r
	}, text)
}

// cut returns the first n characters of a text, with an ellipsis if there are more.
func cut(text string, n int) string {
	for i := range text {
		if n--; n < 0 {
			return strings.TrimSpace(text[:i]) + "…"
		}
	}
	return text
}
