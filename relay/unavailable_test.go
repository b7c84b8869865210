package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// outage is a broker whose store does not answer while it is down.
type outage struct {
	*broker.Memory
	down   atomic.Bool
	behind atomic.Bool // it answers, and this relay lags
}

func (b *outage) Resume(ctx context.Context, key string, at broker.Offset, fenced func()) (broker.Resumed, error) {
	if b.down.Load() {
		return broker.Resumed{}, broker.ErrUnavailable
	}
	return b.Memory.Resume(ctx, key, at, fenced)
}

func (b *outage) Reach(ctx context.Context, at broker.Offset) error {
	if b.behind.Load() {
		return broker.ErrUnavailable
	}
	return b.Memory.Reach(ctx, at)
}

func (b *outage) Publish(ctx context.Context, pubs ...broker.Publication) []broker.Receipt {
	receipts := b.Memory.Publish(ctx, pubs...)
	if b.down.Load() { // they are stored, and nobody hears of it
		for i := range receipts {
			receipts[i] = broker.Receipt{Err: broker.ErrUnavailable}
		}
	}
	return receipts
}

func duringOutage(t *testing.T, test func(t *testing.T, r *rig, b *outage)) {
	synctest.Test(t, func(t *testing.T) {
		b := &outage{Memory: broker.NewMemory(settings(t).Limits())}
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, b)
		defer r.close()
		test(t, r, b)
	})
}

// While it can't be known what a client has missed, nobody says that it is lost: the client waits,
// and then is sent away by the end of its transport, after which a stock client comes back by itself.
func TestResumeDuringOutage(t *testing.T) {
	for name, down := range map[string]func(*outage) *atomic.Bool{
		"the store is away":   func(b *outage) *atomic.Bool { return &b.down },
		"the relay is behind": func(b *outage) *atomic.Bool { return &b.behind },
	} {
		t.Run(name, func(t *testing.T) {
			duringOutage(t, func(t *testing.T, r *rig, b *outage) {
				other := r.guest("other")
				other.Call("join", `{"room":"a"}`)
				s := r.returning("")
				s.Call("join", `{"room":"a"}`)
				say(other, 1, "a")
				s.hear()
				s.cut()
				say(other, 1, "a")
				down(b).Store(true)
				p := r.Open()
				p.Packet() // the handshake
				began := time.Now()
				p.Text(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, s.pid, s.offset))
				if code, reason := p.Closed(); code != 1000 {
					t.Errorf("closed with %d %q", code, reason)
				}
				if d := time.Since(began); d < 5*time.Second || d > 11*time.Second {
					t.Errorf("sent away after %v", d)
				}
				time.AfterFunc(3*time.Second, func() { down(b).Store(false) })
				s.again()
				s.expectRecovered(true)
				s.expectSeen("a 1", "a 2")
			})
		})
	}
}

// A publish that failed may have been stored for all that. The answer names the id under which it can
// be tried again.
func TestFailedPublishNamesItsID(t *testing.T) {
	duringOutage(t, func(t *testing.T, r *rig, b *outage) {
		p := r.member("asha", "a")
		b.down.Store(true)
		answer := p.Call("publish", `{"room":"a","data":1}`)
		var failed struct {
			OK    bool
			Room  string
			ID    string
			Error struct {
				Code  string
				Retry int
			}
		}
		if err := json.Unmarshal([]byte(answer), &failed); err != nil || failed.OK || failed.ID == "" || failed.Room != "a" || failed.Error.Code != "unavailable" || failed.Error.Retry == 0 {
			t.Fatal(answer)
		}
		b.down.Store(false)
		again := p.Call("publish", fmt.Sprintf(`{"room":"a","data":1,"id":%q}`, failed.ID))
		if !strings.Contains(again, `"duplicate":true`) || !strings.Contains(again, `"seq":1`) {
			t.Error(again)
		}
	})
}
