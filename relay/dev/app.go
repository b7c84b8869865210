// Package dev is what setu dev has beside a relay: something that answers the relay's hooks by rules of a file,
// or passes them on to the app at HOOK_URL, and writes down each; and a page that shows sessions, rooms and
// what was asked, live. See docs/dev.md.
package dev

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"setu/relay/hook"
	"setu/relay/metrics"
)

// app answers what a relay asks, in place of the network: it is the http.RoundTripper of the relay's own hook
// client, so that what is asked, how it is signed, and what comes of an answer is as anywhere else.
type app struct {
	// immutable
	rules     *rulesFile
	forwards  hook.Events       // what goes on to the app, unless a rule answers it; empty: nothing
	forward   http.RoundTripper // to the app
	maxAnswer int               // bytes of an answer of the app
	record    func(Record)
}

// asked is what is looked at of a request.
type asked struct {
	Type metrics.Hook `json:"type"`

	Event   string          `json:"event"`
	Args    json.RawMessage `json:"args"`
	Room    string          `json:"room"`
	Message json.RawMessage `json:"message"`
	Auth    json.RawMessage `json:"auth"`

	Session string `json:"session"`
	User    struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"user"`
}

// name returns what rules are found by.
func (q asked) name() string {
	if q.Type == metrics.HookEvent {
		return q.Event
	}
	return q.Room
}

// kind returns what HOOK_EVENTS has for the request.
func (q asked) kind() metrics.Hook {
	switch q.Type {
	case metrics.HookConnect, metrics.HookEvent, metrics.HookJoin, metrics.HookPublish:
		return q.Type
	}
	return metrics.HookPresence // user.online and its like
}

// RoundTrip implements http.RoundTripper.
func (a *app) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	var q asked
	_ = json.Unmarshal(body, &q) // the relay wrote it
	r := Record{At: began.UnixMilli(), asked: q}
	res, err := a.answer(req, body, q, &r)
	if err != nil {
		r.Error = err.Error()
	}
	r.Millis = float64(time.Since(began).Microseconds()) / 1000
	a.record(r)
	return res, err
}

// answer answers a request by a rule, by the app, or by nothing, and notes which in r.
func (a *app) answer(req *http.Request, body []byte, q asked, r *Record) (*http.Response, error) {
	if found, rule := a.rules.current().find(q.kind(), q.name()); found != nil {
		r.By, r.Rule = byRule, rule
		r.Status, r.answer = found.fill(body)
		return respond(req, r.Status, http.Header{"Content-Type": {"application/json"}}, r.answer), nil
	}
	if !a.forwards.Has(q.kind()) {
		r.By, r.Status = byNobody, http.StatusNoContent
		return respond(req, r.Status, http.Header{}, nil), nil
	}
	r.By = byApp
	req = req.Clone(req.Context())
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := a.forward.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	r.Status = res.StatusCode
	r.answer, err = io.ReadAll(io.LimitReader(res.Body, int64(a.maxAnswer)+1)) // past which the hook client refuses it
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	return respond(req, res.StatusCode, res.Header, r.answer), nil
}

func respond(req *http.Request, status int, header http.Header, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req}
}
