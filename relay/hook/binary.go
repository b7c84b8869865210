package hook

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"setu/relay/socketio"
)

// maxArgs bounds arguments: with an event's name and its offset they are what clients take.
const maxArgs = socketio.MaxItems - 2

var errMany = fmt.Errorf("they are more than %d", maxArgs)

// lift takes the binary values out of arguments that the app gave: placeholders stand for them there. The
// arguments are valid JSON; what is returned of them has no needless space.
func lift(args []json.RawMessage) (out []json.RawMessage, attachments [][]byte, err error) {
	if len(args) > maxArgs {
		return nil, nil, errMany
	}
	if out, attachments, err = socketio.Lift(args); err != nil {
		return nil, nil, err
	}
	for i := range out {
		v := jsontext.Value(bytes.Clone(out[i]))
		if err := v.Compact(); err != nil {
			return nil, nil, err
		}
		out[i] = json.RawMessage(v)
	}
	return out, attachments, nil
}

// InlineAll puts attachments into arguments, as {"$binary": "<base64>"}. The error is that a placeholder
// names none.
func InlineAll(args []json.RawMessage, attachments [][]byte) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(args)) // not nil: in JSON it is a list
	for i, a := range args {
		text, err := socketio.ToBase64(a, attachments)
		if err != nil {
			return nil, err
		}
		out[i] = text
	}
	return out, nil
}
