package relay

import "time"

// The values on the wire, spelled out: they are a contract, whatever the code calls them.
const (
	closeNormal   = 1000
	closeGone     = 1001
	closeProtocol = 1002
	closeTooLarge = 1009
	closeRestart  = 1012
	closeSlow     = 1013

	codeBadRequest  = "bad_request"
	codeRateLimited = "rate_limited"
	codeFull        = "full"
	codeNotJoined   = "not_joined"
	codeTooLarge    = "too_large"
	codeGap         = "gap"
	codeUnavailable = "unavailable"

	maxRoom   = 200
	maxID     = 64
	maxJoined = 200
	maxPage   = 256
)

// The times that the engine takes at most.
const (
	flushTimeout   = time.Second
	closeTimeout   = 5 * time.Second
	lateGetTimeout = time.Second
	attachTimeout  = 30 * time.Second
)

// fault is the error of a request that failed.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   int64  `json:"retry"`
}
