// Package api is the server API: HTTP and JSON, for the application that a relay serves. It is described by
// OpenAPI, from the same Go types that read requests and write answers.
package api

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"setu/relay/broker"
	"setu/relay/events"
	"setu/relay/limit"
	"setu/relay/metrics"
)

// Path is below which the API is.
const Path = "/api/v1/"

// Config is what the API needs of the settings.
type Config struct {
	Keys        Keys
	Rate        limit.Rate    // of one key; of a batch each message counts
	RelayID     string        // told by every answer
	MaxPayload  int           // bytes of one message
	BodyTimeout time.Duration // for a request's body to come
	Kept        time.Duration // how long a revocation is kept
	Metrics     *metrics.Metrics
}

// Store is what the API asks of a broker itself; for the rest it asks the events.
type Store interface {
	Revoke(ctx context.Context, r broker.Revocation) (broker.Coverage, error)
	DeadNotices(ctx context.Context, before string, limit int) ([]broker.DeadNotice, error)
	ResendNotice(ctx context.Context, dead string) error
	Rooms(ctx context.Context, cursor string, limit int) (rooms []broker.RoomCount, next string, err error)
}

// Guard is what a relay knows of those who ask, and has them pay for.
type Guard struct {
	Address   func(*http.Request) netip.Addr
	Charge    func(at netip.Addr, n int)      // handshakes
	IsShutOut func(at netip.Addr) bool        // it is not to be heard for a while
	Files     func(http.Handler) http.Handler // bounds what anybody may read
}

// Bounds of the API, beside its rate.
const (
	atOnce     = 128      // requests under way; others are answered 503
	maxBatch   = 1000     // messages
	batchBytes = 4        // times MaxPayload, of a batch
	wrapping   = 64 << 10 // bytes of a request beside what it publishes
	keyPenalty = 20       // handshakes that its address pays for a request without a good key
)

// API serves the server API.
type API struct {
	// immutable after New
	cfg   Config
	root  *events.Root
	store Store
	guard Guard
	log   *slog.Logger
	rates *limit.Buckets[string] // by key
	slots chan struct{}
	mux   *http.ServeMux
	docs  http.Handler
	huma  huma.API
}

// New returns the API of a relay.
func New(cfg Config, root *events.Root, store Store, guard Guard, log *slog.Logger) *API {
	a := &API{cfg: cfg, root: root, store: store, guard: guard, log: log, rates: limit.NewBuckets[string](cfg.Rate),
		slots: make(chan struct{}, atOnce), mux: http.NewServeMux()}
	a.huma = humago.New(a.mux, describe())
	a.huma.UseMiddleware(a.authorize)
	a.registerPublish()
	a.registerBatch()
	a.registerAnnotate()
	a.registerRead()
	a.registerUsers()
	a.registerModerate()
	a.registerNotices()
	a.mux.HandleFunc(Path, a.unknown)
	a.docs = guard.Files(a.documents())
	return a
}

// asked is a request under way.
type asked struct {
	key       *Key
	operation metrics.Operation
	status    int
}

type askedKey struct{}

func askedOf(ctx context.Context) *asked { return ctx.Value(askedKey{}).(*asked) }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	q := &asked{operation: metrics.OperationNone}
	h := w.Header()
	h.Set("Setu-Relay", a.cfg.RelayID)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	a.serve(&statusWriter{w, q}, r.WithContext(context.WithValue(r.Context(), askedKey{}, q)), q)
	a.cfg.Metrics.API.Of(q.operation, metrics.ClassOf(q.status)).Inc()
	name := ""
	if q.key != nil {
		name = q.key.Name
	}
	a.log.Debug("the server API was asked", "operation", q.operation, "key", name, "status", q.status, "ms", time.Since(began).Milliseconds())
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, q *asked) {
	if isDocument(r) {
		q.operation = metrics.OperationDocument
		a.docs.ServeHTTP(w, r)
		return
	}
	if refused := a.admit(r, q); refused != nil {
		w.Header().Set("Connection", "close") // its body is not read
		refused.write(w)
		return
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		p := newProblem(codeUnavailable, "too many requests are under way at this relay")
		p.Retry = retryAfter.Milliseconds()
		w.Header().Set("Connection", "close")
		p.write(w)
		return
	}
	lowerMediaType(r)
	a.mux.ServeHTTP(w, r)
}

// lowerMediaType has the body's media type compared whatever its case (RFC 9110, 8.3.1).
func lowerMediaType(r *http.Request) {
	if kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil {
		r.Header.Set("Content-Type", mime.FormatMediaType(kind, parameters))
	}
}

// admit finds out by which key is asked, and has that, or the address, pay for it.
func (a *API) admit(r *http.Request, q *asked) *Problem {
	at := a.guard.Address(r)
	if a.guard.IsShutOut(at) {
		p := newProblem(codeRateLimited, "too many requests without a good key, or others that are no good, came from this address")
		p.Retry = retryAfter.Milliseconds()
		return p
	}
	if q.key = a.cfg.Keys.find(bearer(r.Header.Get("Authorization"))); q.key == nil {
		a.guard.Charge(at, keyPenalty)
		return newProblem(codeUnauthorized, "this takes a key of API_KEYS: Authorization: Bearer SECRET")
	}
	if wait := a.rates.Take(q.key.Name); wait > 0 {
		p := newProblem(codeRateLimited, "more than API_RATE by this key")
		p.Retry = max(1, wait.Milliseconds())
		return p
	}
	return nil
}

// authorize refuses what the key may not do.
func (a *API) authorize(ctx huma.Context, next func(huma.Context)) {
	op, q := ctx.Operation(), askedOf(ctx.Context())
	q.operation = metrics.Operation(op.Metadata[operationKey].(metrics.Operation))
	right := op.Metadata[rightKey].(Right)
	if q.key.has(right) {
		next(ctx)
		return
	}
	p := newProblem(codeForbidden, "this takes a key with the right to "+string(right))
	_, w := humago.Unwrap(ctx)
	p.write(w)
}

// Off answers all requests of a relay that has no keys: 404, and what would change that.
func Off(w http.ResponseWriter, _ *http.Request) {
	newProblem(codeNotFound, "the server API is off: set API_KEYS").write(w)
}

// unknown answers what no operation does.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != Path {
			allow = append(allow, method)
		}
	}
	p := newProblem(codeNotFound, "there is nothing at this path: see "+Path)
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		p = newProblem(codeBadRequest, "this path takes "+strings.Join(allow, " and "))
		p.Status, p.Title = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed)
	}
	p.write(w)
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	q *asked
}

// WriteHeader implements http.ResponseWriter. Only the first call counts.
func (w *statusWriter) WriteHeader(status int) {
	if w.q.status == 0 {
		w.q.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.q.status == 0 {
		w.q.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
