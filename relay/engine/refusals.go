package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"setu/relay/engineio"
	"setu/relay/metrics"
)

// Refusal is a kind of refusal: what is logged of it, how loud, and what it is counted as.
type Refusal struct {
	Level slog.Level
	Text  string
	Limit metrics.Limit // empty: metrics.LimitOther
}

func (k Refusal) limit() metrics.Limit { return cmp.Or(k.Limit, metrics.LimitOther) }

// Refusals of the engine. What misconfigured proxies and clients that can never connect run into is
// a warning; what a session's end, a restart or a scanner brings about is not.
var (
	refusedOrigin = Refusal{slog.LevelWarn, "refused a page of another site: list its origin in ALLOWED_ORIGINS; " +
		"if it is this relay's own page, have the proxy in front pass the Host header on", metrics.LimitOrigin}
	refusedVersion = Refusal{slog.LevelWarn, "refused a client of another protocol: " +
		"this relay speaks Engine.IO 4 alone, as clients of Socket.IO 3 and 4 do", metrics.LimitVersion}
	refusedNoUpgrade = Refusal{slog.LevelWarn, "refused a WebSocket without the headers Upgrade and Connection: " +
		"does the proxy in front pass them on?", metrics.LimitNoUpgrade}
	refusedTooLarge = Refusal{slog.LevelWarn, "a client sent more than MAX_PAYLOAD", metrics.LimitPayload}
	refusedFull     = Refusal{slog.LevelWarn, "refused a client: MAX_CONNECTIONS are connected", metrics.LimitConnections}
	refusedDraining = Refusal{slog.LevelInfo, "refused a client: this relay drains", metrics.LimitDraining}
	refusedSession  = Refusal{slog.LevelInfo, "refused a request of a session that this relay does not know", metrics.LimitSession}
	refusedRequest  = Refusal{slog.LevelDebug, "refused a request that is no client's", metrics.LimitRequest}
)

// Lines that one kind of refusal may take.
const (
	refusalBurst  = 5                // at a time
	refusalPeriod = 10 * time.Second // for one more
)

// Refusals logs and counts what is refused. A flood of one kind costs a few lines, the next of which
// says how many were left out, and hides no other kind.
type Refusals struct {
	log     *slog.Logger
	metrics *metrics.Metrics

	mu    sync.Mutex // guards what follows
	kinds map[Refusal]*budget
}

// budget is what one kind has left to say, and did not say.
type budget struct {
	lines   *rate.Limiter
	leftOut int
}

// NewRefusals returns what logs refusals to log, and counts them in m.
func NewRefusals(log *slog.Logger, m *metrics.Metrics) *Refusals {
	return &Refusals{log: log, metrics: m, kinds: map[Refusal]*budget{}}
}

// Note logs a refusal, with pairs of a key and a value. Text that a client chose goes through Clip;
// its secrets (ids of sessions, keys, tokens, queries) have no place there.
func (rs *Refusals) Note(kind Refusal, args ...any) {
	rs.metrics.Refusals.Of(kind.limit()).Inc()
	leftOut, ok := rs.count(kind)
	if !ok || !rs.log.Enabled(context.Background(), kind.Level) {
		return
	}
	if leftOut > 0 {
		args = append(args, "left_out", leftOut)
	}
	rs.log.Log(context.Background(), kind.Level, kind.Text, args...)
}

// count counts a refusal, and reports whether there is a line for it, and how many had none since
// the last.
func (rs *Refusals) count(kind Refusal) (leftOut int, ok bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	b := rs.kinds[kind]
	if b == nil {
		b = &budget{lines: rate.NewLimiter(rate.Every(refusalPeriod), refusalBurst)}
		rs.kinds[kind] = b
	}
	if !b.lines.Allow() {
		b.leftOut++
		return 0, false
	}
	leftOut, b.leftOut = b.leftOut, 0
	return leftOut, true
}

// maxClip bounds what a log line holds of a text that a client chose, in bytes.
const maxClip = 100

// Clip returns a client's text as a log line may hold it: printable ASCII, and not much of it.
func Clip(s string) string {
	rest := ""
	if len(s) > maxClip {
		s, rest = s[:maxClip], "..."
	}
	quoted := strconv.QuoteToASCII(s)
	return quoted[1:len(quoted)-1] + rest
}

// from names the client of a request: by its address, or by a proxy's and what that says.
func from(r *http.Request) string {
	if by := r.Header.Get("X-Forwarded-For"); by != "" {
		return r.RemoteAddr + " for " + Clip(by)
	}
	return r.RemoteAddr
}

// Refused logs the refusal of a request, with pairs of a key and a value, as Refusals.Note.
func (srv *Server) Refused(kind Refusal, r *http.Request, args ...any) {
	srv.countRefused(kind, r)
	srv.refusals.Note(kind, append([]any{"from", from(r)}, args...)...)
}

// Refused logs what a session's client was refused, with pairs of a key and a value, as
// Refusals.Note.
func (s *Session) Refused(kind Refusal, args ...any) {
	s.srv.refusals.Note(kind, append([]any{"from", s.from}, args...)...)
}

// refuseHandshake answers that there is no room for a session.
func (srv *Server) refuseHandshake(w http.ResponseWriter, r *http.Request, err error) {
	var excess *excessError
	switch {
	case errors.As(err, &excess):
		srv.Refused(excess.kind, r)
		refuseExcess(w, excess.wait)
		return
	case err == errFull:
		srv.Refused(refusedFull, r, "limit", srv.cfg.MaxConnections)
	default:
		srv.Refused(refusedDraining, r)
	}
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// RefuseUnknown answers a request that ServeHTTP has not seen that the session it names is nowhere. A
// page of another site may read that, as it may all of the engine's answers.
func (srv *Server) RefuseUnknown(w http.ResponseWriter, r *http.Request, kind Refusal, args ...any) {
	if srv.originAllowed(r) {
		srv.allowOrigin(w.Header(), r)
	}
	srv.Refused(kind, r, args...)
	Refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
}

// refuseSession answers that a session is not here. Its node is no secret; the rest of its id is.
func (srv *Server) refuseSession(w http.ResponseWriter, r *http.Request, sid string) {
	if srv.isExcess(w, r) {
		return
	}
	of := "another relay"
	switch NodeOf(sid) {
	case srv.cfg.Node:
		of = "this relay"
	case "":
		of = "no relay"
	}
	srv.Refused(refusedSession, r, "of", of, "node", NodeOf(sid))
	Refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
}

// refuseRequest answers a request that no client makes, such as a scanner's.
func (srv *Server) refuseRequest(w http.ResponseWriter, r *http.Request, e *engineio.Error) {
	if srv.isExcess(w, r) {
		return
	}
	srv.Refused(refusedRequest, r, "error", e.Message, "method", Clip(r.Method), "transport", Clip(Param(r, "transport")))
	Refuse(w, http.StatusBadRequest, e)
}
