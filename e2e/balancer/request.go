package balancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Request is one that came, and what became of it.
type Request struct {
	Method    string
	Session   string // the Engine.IO session's id; "" opens one
	WebSocket bool
	Relay     string // that it went to
	Began     time.Time
	Ended     time.Time // zero: under way; a WebSocket's is when it was closed
	Status    int       // 0: none came
	Error     string    // why none came, or what the relay said to refuse it; "" where the client gave up
}

// Failed reports whether the client did not get what it asked for. One that gave
// up itself did.
func (r Request) Failed() bool { return r.Error != "" }

// WasWith reports whether the request was at a relay at some time in a span.
func (r Request) WasWith(relay string, from, to time.Time) bool {
	return r.Relay == relay && !r.Began.After(to) && (r.Ended.IsZero() || !r.Ended.Before(from))
}

// Kind is the method, or WebSocket.
func (r Request) Kind() string {
	if r.WebSocket {
		return "WebSocket"
	}
	return r.Method
}

// String is the request in a line.
func (r Request) String() string {
	return fmt.Sprintf("%s for session %q at %s, %s after %v: %d %s", r.Kind(), r.Session, r.Relay,
		r.Began.Format("15:04:05.000"), r.Ended.Sub(r.Began), r.Status, r.Error)
}

// Requests returns all that came so far.
func (b *Balancer) Requests() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Request, len(b.requests))
	for i, r := range b.requests {
		all[i] = *r
	}
	return all
}

// key is where a request's context has its Request.
type key struct{}

func (b *Balancer) begin(r *http.Request) *Request {
	q := r.URL.Query()
	seen := &Request{Method: r.Method, Session: q.Get("sid"), WebSocket: q.Get("transport") == "websocket", Began: time.Now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, seen)
	return seen
}

func (b *Balancer) end(seen *Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen.Ended = time.Now()
}

// note writes into the Request that r, or what it was made of, has.
func (b *Balancer) note(r *http.Request, write func(*Request)) {
	seen, ok := r.Context().Value(key{}).(*Request)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	write(seen)
}

// answered takes down how a relay answered.
func (b *Balancer) answered(response *http.Response) error {
	var said []byte
	if response.StatusCode >= http.StatusBadRequest {
		var err error
		if said, err = io.ReadAll(response.Body); err != nil {
			return err
		}
		response.Body = io.NopCloser(bytes.NewReader(said))
	}
	b.note(response.Request, func(seen *Request) { seen.Status, seen.Error = response.StatusCode, string(said) })
	return nil
}

func (b *Balancer) failed(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadGateway
	if errors.Is(err, errNoneUp) {
		status = http.StatusServiceUnavailable
	}
	if !errors.Is(err, context.Canceled) {
		b.note(r, func(seen *Request) { seen.Error = err.Error() })
	}
	w.WriteHeader(status)
}
