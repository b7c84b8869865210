package engineio

import "strconv"

// Error is the JSON body with which a server refuses a request. The HTTP status is 400, or 403 for
// ErrForbidden.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// The errors of Engine.IO, with the codes and messages of the stock server.
var (
	ErrTransportUnknown   = &Error{0, "Transport unknown"}
	ErrSessionUnknown     = &Error{1, "Session ID unknown"}
	ErrBadHandshakeMethod = &Error{2, "Bad handshake method"}
	ErrBadRequest         = &Error{3, "Bad request"}
	ErrForbidden          = &Error{4, "Forbidden"}
	ErrUnsupportedVersion = &Error{5, "Unsupported protocol version"}
)

func (e *Error) Error() string {
	return "engineio: " + e.Message + " (code " + strconv.Itoa(e.Code) + ")"
}
