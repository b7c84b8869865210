package dev

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// fill returns what a rule answers to a request, which is JSON: a status and a body.
func (a answer) fill(request []byte) (status int, body []byte) {
	status = http.StatusOK
	var out any = map[string]any(a)
	if no, refused := a["refuse"]; refused {
		status, out = http.StatusForbidden, no
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(fillValue(out, request)); err != nil {
		return http.StatusInternalServerError, nil // not of what was parsed
	}
	return status, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// fillValue returns a value with what its placeholders stand for: $user.name is what the request has there,
// and $$ a $ that begins a text.
func fillValue(v any, request []byte) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = fillValue(member, request)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = fillValue(item, request)
		}
		return out
	case string:
		path, is := strings.CutPrefix(v, "$")
		if !is || strings.HasPrefix(path, "$") {
			return path
		}
		return lookUp(request, strings.Split(path, "."))
	}
	return v
}

// lookUp returns what a JSON text has at a path of members' names and lists' indices; null, if it has nothing.
func lookUp(text json.RawMessage, path []string) json.RawMessage {
	for _, step := range path {
		var object map[string]json.RawMessage
		var list []json.RawMessage
		if json.Unmarshal(text, &object) == nil {
			text = object[step]
		} else if i, err := strconv.Atoi(step); err == nil && json.Unmarshal(text, &list) == nil && i >= 0 && i < len(list) {
			text = list[i]
		} else {
			text = nil
		}
	}
	if text == nil {
		return json.RawMessage("null")
	}
	return text
}
