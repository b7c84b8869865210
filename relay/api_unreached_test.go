package relay

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// deserted is a broker of a fleet of which another relay does not answer.
type deserted struct {
	*outage
	trips atomic.Int32 // with publishes
}

func (b *deserted) Command(ctx context.Context, text string) (broker.Answers, error) {
	answers, err := b.outage.Command(ctx, text)
	if err == nil {
		answers.Unreached, err = 1, broker.ErrUnavailable
	}
	return answers, err
}

func (b *deserted) Revoke(ctx context.Context, r broker.Revocation) (broker.Coverage, error) {
	c, err := b.outage.Revoke(ctx, r)
	if err == nil {
		c.Unreached, err = 1, broker.ErrUnavailable
	}
	return c, err
}

func (b *deserted) Publish(ctx context.Context, pubs ...broker.Publication) []broker.Receipt {
	b.trips.Add(1)
	return b.outage.Publish(ctx, pubs...)
}

// What is for all relays, and does not come to one, is told as far as it is known; what it was is done here.
func TestAPIUnreached(t *testing.T) {
	l, dial := wiretest.ListenTCP(t)
	b := &deserted{outage: &outage{Memory: broker.NewMemory(settings(t, apiKeys).Limits())}}
	r := newRig(t, l, dial, b, apiKeys)
	defer r.close()
	a, p := r.api(t), r.Open()
	w, _ := p.Connect(`{}`)
	user := "users/" + w.User.ID
	if s := a.want(200, "GET", user+"/sessions", ""); !strings.Contains(s.body, `"sessions":[{"id":"`) || !strings.Contains(s.body, `],"unreached":1}`) {
		t.Error(s.body)
	}
	for path, says := range map[string]string{
		user + "/join": "it is done with 1 sessions; 1 live relays have not said that they did", user + "/leave": "it is done with 1 sessions", "users/nobody/leave": "it is done with 0 sessions",
		"mutes": "it is stored, and holds on 1 relays; 1 have not said so yet", "revocations": "it is stored, and holds on 1 relays",
	} {
		body := map[string]string{"mutes": `{"user":"ben","seconds":9}`, "revocations": `{"user":"ben"}`}[path]
		if body == "" {
			body = `{"room":"a"}`
		}
		if s := a.want(503, "POST", path, body); s.code(t) != "unavailable" || !strings.Contains(s.body, says) || s.header.Get("Retry-After") != "1" {
			t.Error(path, s)
		}
	}
}

// Of a batch no more is tried once the store is away.
func TestAPIBatchOfNoStore(t *testing.T) {
	l, dial := wiretest.ListenTCP(t)
	b := &deserted{outage: &outage{Memory: broker.NewMemory(settings(t, apiKeys).Limits())}}
	r := newRig(t, l, dial, b, apiKeys)
	defer r.close()
	b.down.Store(true)
	var all []string
	for i := range 350 {
		all = append(all, fmt.Sprintf(`{"room":"a","data":1,"id":"m%d"}`, i))
	}
	s := r.api(t).want(200, "POST", "messages", `{"messages":[`+strings.Join(all, ",")+`]}`)
	if n := strings.Count(s.body, `"code":"unavailable"`); n != 350 || !strings.Contains(s.body, `"room":"a","id":"m349"`) {
		t.Errorf("%d of 350 failed: %.300s", n, s.body)
	}
	if n := b.trips.Load(); n != 1 {
		t.Errorf("%d trips to a store that is away", n)
	}
}
