package client

import (
	"errors"
	"fmt"
)

// What calls return besides *Error and their context's error.
var (
	ErrClosed         = errors.New("client: closed")
	ErrTimeout        = errors.New("client: the relay did not answer in time")
	ErrTooManyPending = errors.New("client: too many calls are waiting")
	ErrLeft           = errors.New("client: left the room")
	ErrEnded          = errors.New("client: the relay ended the session")
)

// Error is a relay's answer to a request that failed, with a code from the protocol's list.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   int    `json:"retry"` // ms after which to try again; 0: the relay did not say
}

func (e *Error) Error() string { return "relay: " + e.Message + " (" + e.Code + ")" }

// retryable: the same request may do better in a moment.
func (e *Error) retryable() bool { return e.Code == "unavailable" || e.Code == "rate_limited" }

// ConnectError is a relay's refusal of the session, a bad token say. It is final: the Client closes.
type ConnectError struct {
	Message string
	Code    string // as in Error, where the relay gave one
}

func (e *ConnectError) Error() string { return "relay refused the connection: " + e.Message }

// RejoinError tells Handler.Error that a room could not be joined again after a reconnect. The room is forgotten.
type RejoinError struct {
	Room string
	Err  error
}

func (e *RejoinError) Error() string { return fmt.Sprintf("rejoin %q: %v", e.Room, e.Err) }

func (e *RejoinError) Unwrap() error { return e.Err }
