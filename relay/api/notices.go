package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// DeadNotice is a notice of presence that the app at HOOK_URL did not take in time, as it was sent.
type DeadNotice struct {
	Dead  string `json:"dead" doc:"names it in this list"`
	Why   string `json:"why" doc:"what came of the last try"`
	Type  string `json:"type" doc:"user.online, user.offline, room.occupied or room.vacated"`
	ID    string `json:"id" doc:"the same whenever it is sent"`
	At    int64  `json:"at" doc:"milliseconds since 1970: when it came to be so"`
	User  *users `json:"user,omitzero" required:"false"`
	Room  string `json:"room,omitzero" required:"false"`
	Fence uint64 `json:"fence" doc:"of two notices of one user or room, the higher is the newer"`
}

// users is the JSON of a user, as it is kept.
type users json.RawMessage

// Schema implements huma.SchemaProvider.
func (users) Schema(r huma.Registry) *huma.Schema { return r.Schema(typeOf[broker.User](), true, "") }

// MarshalJSON implements json.Marshaler.
func (u users) MarshalJSON() ([]byte, error) { return u, nil }

type deadInput struct {
	Before string `query:"before" doc:"dead of a notice: those that died before it; by default the newest"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type deadOutput struct {
	Body struct {
		Notices []DeadNotice `json:"notices" nullable:"false" doc:"the newest first; the newest 1,000 are kept"`
	}
}

type resendInput struct {
	Dead string `path:"dead"`
}

func (a *API) registerNotices() {
	huma.Register(a.huma, a.of(operation{metrics.OperationDead, "listDeadNotices", Read, http.MethodGet, "hooks/dead", "List dead notices",
		"Lists notices of presence that the app at HOOK_URL has not taken within HOOK_KEEP.", http.StatusOK, 0}), a.dead)
	huma.Register(a.huma, a.of(operation{metrics.OperationResend, "resendNotice", Manage, http.MethodPost, "hooks/dead/{dead}/retry", "Send a dead notice again",
		"Takes a notice from the list of dead ones, and sends it as it was, for HOOK_KEEP again: its fence says that it is older than what was sent meanwhile.", http.StatusNoContent, 0}), a.resend)
}

func (a *API) dead(ctx context.Context, in *deadInput) (*deadOutput, error) {
	all, err := a.store.DeadNotices(ctx, in.Before, in.Limit)
	if err != nil {
		return nil, noticeProblem(err)
	}
	out := &deadOutput{}
	out.Body.Notices = []DeadNotice{}
	for _, n := range all {
		is := DeadNotice{Dead: n.Dead, Why: n.Why, Type: n.Kind, ID: n.ID, At: n.At, Room: n.Room, Fence: n.Fence}
		if n.User != "" {
			u := users(n.User)
			is.User = &u
		}
		out.Body.Notices = append(out.Body.Notices, is)
	}
	return out, nil
}

func (a *API) resend(ctx context.Context, in *resendInput) (*nothing, error) {
	if err := a.store.ResendNotice(ctx, in.Dead); err != nil {
		return nil, noticeProblem(err)
	}
	return nil, nil
}

func noticeProblem(err error) *Problem {
	if errors.Is(err, broker.ErrNoNotice) {
		return newProblem(codeNotFound, "there is no such dead notice")
	}
	return problemOf(err)
}
