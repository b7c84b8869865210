package chat

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// Owner returns whose the messages are that are written with a token: its user's, or, without one, the
// guest's of this browser. It tells users apart by what the token says; whether that is true, the relay
// finds out.
func Owner(token string) string {
	if token == "" {
		return ""
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	var claims map[string]json.RawMessage
	var sub string
	if text, err := base64.RawURLEncoding.DecodeString(payload); err == nil && json.Unmarshal(text, &claims) == nil {
		_ = json.Unmarshal(claims["sub"], &sub) // if it is no string, it is nobody's
	}
	return "user/" + sub
}
