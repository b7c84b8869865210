package api

import (
	"io"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What comes is read by the letter (I-JSON, RFC 7493): names match exactly, none comes twice, and text is
// Unicode. Two readers of it see the same.
var asJSON = huma.Format{
	Marshal:   writeJSON,
	Unmarshal: func(data []byte, v any) error { return json.Unmarshal(data, v) },
}

// writeJSON writes v. That the client is gone is no error.
func writeJSON(w io.Writer, v any) error {
	text, err := json.Marshal(v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) // of what clients have published
	if err == nil {
		_, _ = w.Write(append(text, '\n'))
	}
	return err
}
