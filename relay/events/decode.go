package events

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/go-json-experiment/json" // encoding/json/v2, where Go has it, and a copy of it where not
	"github.com/go-json-experiment/json/jsontext"
)

// What clients send is read by the rules of JSON.parse: names match letter by letter, unknown ones
// are passed over, and of a name that comes twice the last counts. What goes on to others (a
// json.RawMessage) keeps every byte.
var (
	verbatim = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	exactly  = json.JoinOptions(verbatim, json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(readText), json.UnmarshalFromFunc(readInteger), json.UnmarshalFromFunc(readBool))))
)

var (
	errNoObject  = errors.New("must be one JSON object")
	errNotUTF8   = errors.New("must be valid Unicode: it holds bytes that are not UTF-8")
	errSurrogate = errors.New("must be valid Unicode: it holds half of a surrogate pair")
)

// decode reads an object into a struct whose fields are string, int, bool, json.RawMessage, or
// pointers to these; null stands for a member that is not there. The error is for the client: it
// names the member, what it takes and what came.
//
// A string is text that we compare or show, so one that is not valid Unicode is refused: read
// leniently, two different ids would become the same.
func decode(raw []byte, into any) error {
	err := json.Unmarshal(raw, into, exactly)
	if err == nil {
		return nil
	}
	if raw = lastOfEach(raw); raw != nil && json.Unmarshal(raw, into, exactly) == nil {
		return nil
	}
	var wrong *json.SemanticError
	if errors.As(err, &wrong) && wrong.JSONPointer != "" && wrong.Err != nil {
		return errors.New(wrong.JSONPointer.LastToken() + " " + wrong.Err.Error())
	}
	return errNoObject
}

// lastOfEach returns an object without the members that a later one of the same name replaces, which
// may be of any type, or nil for what is no object. Only what can't be read otherwise is worth this.
func lastOfEach(object []byte) []byte {
	var members map[string]jsontext.Value
	if json.Unmarshal(object, &members, verbatim) != nil || members == nil {
		return nil
	}
	out := []byte{'{'}
	for name, value := range members {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, name) // what is not Unicode is no name that we know
		out = append(append(out, ':'), value...)
	}
	return append(out, '}')
}

func readText(d *jsontext.Decoder, s *string) error {
	v, err := d.ReadValue()
	switch {
	case err != nil:
		return err
	case v.Kind() == jsontext.KindNull:
		*s = ""
		return nil
	case v.Kind() != jsontext.KindString:
		return mismatch("a string", v)
	}
	*s, err = text(v)
	return err
}

// text returns what a JSON string says.
func text(quoted []byte) (string, error) {
	if !utf8.Valid(quoted) {
		return "", errNotUTF8
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	plain, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return "", errSurrogate
	}
	return string(plain), nil
}

// anyText returns what v says if it is a string, and else nothing.
func anyText(v []byte) string {
	if jsontext.Value(v).Kind() != jsontext.KindString {
		return ""
	}
	s, _ := text(v)
	return s
}

func readInteger(d *jsontext.Decoder, n *int) error {
	v, err := d.ReadValue()
	switch {
	case err != nil:
		return err
	case v.Kind() == jsontext.KindNull:
		*n = 0
		return nil
	case v.Kind() != jsontext.KindNumber:
		return mismatch("an integer", v)
	}
	var ok bool
	if *n, ok = integer(string(v)); !ok {
		return mismatch("an integer of at most 18 digits", v)
	}
	return nil
}

func readBool(d *jsontext.Decoder, b *bool) error {
	v, err := d.ReadValue()
	switch {
	case err != nil:
		return err
	case v.Kind() == jsontext.KindNull, v.Kind() == jsontext.KindFalse, v.Kind() == jsontext.KindTrue:
		*b = v.Kind() == jsontext.KindTrue
		return nil
	}
	return mismatch("true or false", v)
}

// mismatch says what a member takes, and what came.
func mismatch(wanted string, v jsontext.Value) error {
	came := map[jsontext.Kind]string{
		jsontext.KindString: "a string", jsontext.KindBeginObject: "an object", jsontext.KindBeginArray: "an array",
	}[v.Kind()]
	if came == "" { // a number, true or false says most by itself
		const longest = 40
		if came = string(v[:min(len(v), longest)]); len(v) > longest {
			came += "…"
		}
	}
	return errors.New("must be " + wanted + ", not " + came)
}
