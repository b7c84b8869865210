package api

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/events"
)

// Problem is why a request failed: RFC 9457, with a code for programs.
type Problem struct {
	Title  string  `json:"title" doc:"what its status says"`
	Status int     `json:"status"`
	Detail string  `json:"detail" doc:"what was wrong, for whoever wrote the request"`
	Code   string  `json:"code" doc:"what was wrong, for programs: bad_request, unauthorized, forbidden, not_found, not_connected, too_large, gap, full, rate_limited, unavailable, internal"`
	Room   string  `json:"room,omitzero" required:"false" doc:"of a publish that may have been stored"`
	ID     string  `json:"id,omitzero" required:"false" doc:"of a publish that may have been stored: to try again with it adds nothing"`
	Retry  int64   `json:"retry,omitzero" required:"false" doc:"milliseconds after which it may be tried again"`
	Errors []Wrong `json:"errors,omitzero" required:"false" nullable:"false" doc:"each thing that is wrong with the request, if it can be said"`
}

// Wrong is one thing that is wrong with a request.
type Wrong struct {
	Location string `json:"location" doc:"where, like body.messages[3].room"`
	Message  string `json:"message"`
}

// Codes of problems that clients of the socket don't meet.
const (
	codeBadRequest   = "bad_request"
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeNotFound     = "not_found"
	codeNotConnected = "not_connected"
	codeTooLarge     = "too_large"
	codeGap          = "gap"
	codeFull         = "full"
	codeRateLimited  = "rate_limited"
	codeUnavailable  = "unavailable"
	codeInternal     = "internal"
)

// statuses are those of codes.
var statuses = map[string]int{codeBadRequest: http.StatusBadRequest, codeUnauthorized: http.StatusUnauthorized,
	codeForbidden: http.StatusForbidden, codeNotFound: http.StatusNotFound, codeNotConnected: http.StatusNotFound,
	codeTooLarge: http.StatusRequestEntityTooLarge, codeGap: http.StatusGone, codeFull: http.StatusConflict,
	codeRateLimited: http.StatusTooManyRequests, codeUnavailable: http.StatusServiceUnavailable}

// newProblem returns a problem of a code.
func newProblem(code, detail string) *Problem {
	status, ok := statuses[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// retryAfter is how long is to be waited for a store, or relays, that do not answer.
const retryAfter = time.Second

// problemOf returns what an error means to who asked.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, broker.ErrCursor) {
		return newProblem(codeBadRequest, "cursor is none that was given out")
	}
	code, message, retry := events.Fault(err)
	if code == codeUnavailable && !errors.Is(err, broker.ErrUnavailable) && !errors.Is(err, broker.ErrClosed) {
		message = "the message store does not answer"
	}
	p = newProblem(code, message)
	p.Retry = retry.Milliseconds()
	return p
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(p.Retry)/1000))))
	}
	if p.Code == codeUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="Setu"`)
	}
	return h
}

// ours makes a problem of what huma says of requests, which has no code, and repeats what was asked.
func ours(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := codeBadRequest
	switch {
	case e.Status == http.StatusRequestEntityTooLarge:
		code = codeTooLarge
	case e.Status >= http.StatusInternalServerError:
		code = codeInternal
	}
	p := &Problem{Title: e.Title, Status: e.Status, Detail: e.Detail, Code: code}
	p.blame(e.Errors)
	return p, nil
}

// blame says what is wrong with the request.
func (p *Problem) blame(all []*huma.ErrorDetail) {
	for _, one := range all[:min(len(all), maxWrong)] {
		p.Errors = append(p.Errors, Wrong{one.Location, one.Message})
	}
	if len(p.Errors) > 0 {
		p.Detail = p.Errors[0].Location + ": " + p.Errors[0].Message
	}
}

// unprocessable returns the problem of what is not as the description says.
func unprocessable(why []error) *Problem {
	p := newProblem(codeBadRequest, "this is not as the description says")
	p.Status, p.Title = http.StatusUnprocessableEntity, http.StatusText(http.StatusUnprocessableEntity)
	var all []*huma.ErrorDetail
	for _, err := range why {
		var one *huma.ErrorDetail
		if errors.As(err, &one) {
			all = append(all, one)
		}
	}
	p.blame(all)
	return p
}

// maxWrong is how many things that are wrong with a request are told.
const maxWrong = 16

// write answers a request that no operation answers.
func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = writeJSON(w, p)
}
