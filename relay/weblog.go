package relay

import (
	"io"
	"log"
	"log/slog"
	"strings"

	"setu/relay/engine"
	"setu/relay/metrics"
)

// The messages of net/http that an operator must see. All others are about what clients send.
var (
	refusedAccept = engine.Refusal{Level: slog.LevelWarn, Text: "cannot accept connections: is the limit on open files too low?", Limit: metrics.LimitFiles}
	refusedPanic  = engine.Refusal{Level: slog.LevelError, Text: "a request panicked", Limit: metrics.LimitPanic}
)

// webLog takes what net/http logs, which is lines of text.
type webLog struct {
	log      *slog.Logger
	refusals *engine.Refusals
}

// WebLog returns the ErrorLog of an http.Server that serves a relay, whose metrics are m.
func WebLog(to *slog.Logger, m *metrics.Metrics) *log.Logger {
	return log.New(webLog{to, engine.NewRefusals(to, m)}, "", 0)
}

// StrayLog returns where what is written to Go's own log goes, by packages that have no other: to the log, at
// debug. The HTTP client of net/http writes there that an answer came for which nobody had asked, and how it
// begins, which is nobody's business here.
func StrayLog(to *slog.Logger) io.Writer { return strayLog{to} }

type strayLog struct{ log *slog.Logger }

// Write implements io.Writer.
func (l strayLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(string(line), " starting with ")
	l.log.Debug(strings.TrimSpace(text))
	return len(line), nil
}

// Write implements io.Writer.
func (l webLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if rest, ok := strings.CutPrefix(text, "http: Accept error: "); ok {
		l.refusals.Note(refusedAccept, "error", rest)
	} else if rest, ok := strings.CutPrefix(text, "http: panic serving "); ok {
		l.refusals.Note(refusedPanic, "error", rest)
	} else {
		l.log.Debug(text)
	}
	return len(line), nil
}
