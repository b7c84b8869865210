package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/events"
	"setu/relay/metrics"
)

// Revocation says whose right to be connected ends.
type Revocation struct {
	User         string    `json:"user,omitzero" required:"false" doc:"a user's public id; one of these three is given"`
	JTI          string    `json:"jti,omitzero" required:"false" doc:"a token's id"`
	Session      string    `json:"session,omitzero" required:"false" doc:"socket.id of a session"`
	IssuedBefore time.Time `json:"issuedBefore,omitzero" required:"false" doc:"of tokens that were issued before then; by default of all, those to come, too (with reauth: until now)"`
	Reauth       bool      `json:"reauth,omitzero" required:"false" doc:"the client is asked for another token, and has 30 seconds"`
}

type revokeInput struct {
	Body Revocation
}

// Mute says who may not speak.
type Mute struct {
	User    string `json:"user" doc:"the user's public id"`
	Room    string `json:"room,omitzero" required:"false" doc:"where; by default anywhere"`
	Seconds int    `json:"seconds" minimum:"0" maximum:"31536000" doc:"for how long; 0: the user may speak again"`
}

type muteInput struct {
	Body Mute
}

func (a *API) registerModerate() {
	post := func(op metrics.Operation, id, summary, about string) huma.Operation {
		return a.of(operation{op, id, Manage, http.MethodPost, map[string]string{"revoke": "revocations", "mute": "mutes"}[id], summary, about, http.StatusNoContent, 0})
	}
	huma.Register(a.huma, post(metrics.OperationRevoke, "revoke", "Revoke",
		"Ends the right to be connected, as setu revoke does. It is answered once it holds on all relays that are live; unavailable if some have not said so, or it is not stored. Nothing takes it back."), a.revoke)
	huma.Register(a.huma, post(metrics.OperationMute, "mute", "Mute",
		"Has a user not publish or signal for a while: muted, with retry. It is answered as revoke is. Of what is said of one user and room the last holds; one of a room and one of all rooms stand side by side."), a.mute)
}

func (a *API) revoke(ctx context.Context, in *revokeInput) (*nothing, error) {
	now := time.Now()
	r := broker.Revocation{User: in.Body.User, Token: in.Body.JTI, Session: in.Body.Session, Reauth: in.Body.Reauth, Until: now.Add(a.cfg.Kept).UnixMilli()}
	switch {
	case !in.Body.IssuedBefore.IsZero():
		r.IssuedBefore = max(1, in.Body.IssuedBefore.UnixMilli())
	case r.Reauth: // else no other token would do
		r.IssuedBefore = events.EndOfSecond(now).UnixMilli()
	}
	if err := cmp.Or(r.Check(), events.CheckRevocation(r)); err != nil {
		return nil, newProblem(codeBadRequest, err.Error())
	}
	if wait := time.Until(time.UnixMilli(r.IssuedBefore)); wait > 0 && wait <= time.Second {
		select {
		case <-time.After(wait): // what is issued once this is stored is good
		case <-ctx.Done():
			return nil, problemOf(ctx.Err())
		}
	}
	return a.hold(ctx, r)
}

func (a *API) mute(ctx context.Context, in *muteInput) (*nothing, error) {
	if err := events.CheckMute(in.Body.User, in.Body.Room); err != nil {
		return nil, newProblem(codeBadRequest, err.Error())
	}
	return a.hold(ctx, broker.Mute(in.Body.User, in.Body.Room, time.Now().Add(time.Duration(in.Body.Seconds)*time.Second)))
}

// hold has a revocation hold.
func (a *API) hold(ctx context.Context, r broker.Revocation) (*nothing, error) {
	held, err := a.store.Revoke(ctx, r)
	switch {
	case errors.Is(err, broker.ErrTooMany):
		return nil, newProblem(codeFull, fmt.Sprintf("%d revocations and mutes are stored already", broker.MaxRevocations))
	case held.Stored && err != nil:
		p := newProblem(codeUnavailable, fmt.Sprintf("it is stored, and holds on %d relays; %d have not said so yet, where it holds when they are back", held.Holds, held.Unreached))
		p.Retry = retryAfter.Milliseconds()
		return nil, p
	case err != nil:
		return nil, problemOf(err)
	}
	return nil, nil
}
