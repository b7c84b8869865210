package client

import (
	"errors"
	"fmt"
)

// Errors that calls return, besides *Error and their context's error.
var (
	ErrClosed         = errors.New("client: closed")
	ErrTimeout        = errors.New("client: the relay did not answer in time")
	ErrTooManyPending = errors.New("client: too many calls are waiting")
	ErrLeft           = errors.New("client: left the room")
	ErrEnded          = errors.New("client: the relay ended the session")
	ErrNoToken        = errors.New("client: there is no other token") // also for FetchToken to return
)

// Error is a relay's answer to a request that failed. Code is one of those that the protocol lists.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   int    `json:"retry"` // ms after which to try again; 0: the relay gave none
	Right   string `json:"right"` // that is missing, if Code is "forbidden"
}

func (e *Error) Error() string { return "relay: " + e.Message + " (" + e.Code + ")" }

// Retryable reports whether the same request may succeed a moment later.
func (e *Error) Retryable() bool { return e.Code == codeUnavailable || e.Code == codeRateLimited }

// Codes that say that a token is missing, does not hold, or was revoked, or that something came too soon, or
// can't be done now.
const (
	codeUnauthorized = "unauthorized"
	codeRevoked      = "revoked"
	codeRateLimited  = "rate_limited"
	codeUnavailable  = "unavailable"
)

// ConnectError is a relay's refusal of the session, because of a bad token for example. It is
// final: the Client closes. Only a token that Options.FetchToken has brought is tried again, and
// that a few times; and what came too soon, with as much patience as a connection that is lost.
type ConnectError struct {
	Message string
	Code    string // as in Error; empty if the relay gave none
}

func (e *ConnectError) Error() string { return "relay refused the connection: " + e.Message }

// RejoinError is passed to Handler.Error if a room could not be joined again after a reconnect. The
// client is no longer in the room, and does not try again.
type RejoinError struct {
	Room string
	Err  error
}

func (e *RejoinError) Error() string { return fmt.Sprintf("rejoin %q: %v", e.Room, e.Err) }

func (e *RejoinError) Unwrap() error { return e.Err }
