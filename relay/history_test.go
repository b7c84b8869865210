package relay

import (
	"testing"

	"setu/relay/wiretest"
)

// An offset of another room is no place in this one's history.
func TestHistoryBeforeElsewhere(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "here")
		p.Call("join", `{"room":"there"}`)
		say(p, 3, "here", "there")
		publish := p.Call("publish", `{"room":"there","data":1}`)
		say(p, 1, "here")
		elsewhere := wiretest.Field(t, publish, "offset")
		if got := faultIn(t, p.Call("history", `{"room":"here","before":`+elsewhere+`}`)); got.Code != codeBadRequest {
			t.Errorf("%+v", got)
		}
		if got := p.Call("history", `{"room":"there","before":`+elsewhere+`,"limit":2}`); wiretest.Field(t, got, "more") != "true" {
			t.Error(got)
		}
	})
}
