package relay

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/client"
)

// dialClient connects the Go client over r's pipes; cut ends its present connection.
func dialClient(t *testing.T, r *rig, o client.Options) (c *client.Client, cut func()) {
	t.Helper()
	var now atomic.Pointer[net.Conn] // the newest connection
	o.Native.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			c := r.New()
			now.Store(&c)
			return c, nil
		}}}
	c, err := client.Dial(t.Context(), "http://relay", &o)
	if err != nil {
		t.Fatal(err)
	}
	return c, func() { _ = (*now.Load()).Close() }
}

// The Go client and the relay work together through an hour of heartbeats and messages both ways. A
// connection cut again and again loses and doubles nothing.
func TestWithTheGoClient(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		var heard []int64
		var states []client.Status
		a, cut := dialClient(t, r, client.Options{Name: "Asha", Key: "0123456789abcdef", Handler: client.Handler{
			Message: func(m client.Message) { heard = append(heard, m.Seq) },
			State: func(s client.State) {
				if len(states) == 0 || states[len(states)-1] != s.Status {
					states = append(states, s.Status)
				}
			},
			Reset: func(m client.Reset) { t.Error("reset: ", m.Reason) },
			Error: func(err error) { t.Error(err) },
		}})
		defer a.Close()
		b, _ := dialClient(t, r, client.Options{Name: "Bo", MaxPending: 1000})
		defer b.Close()
		if j, err := a.Join(t.Context(), "room", client.JoinOptions{Presence: true}); err != nil || j.Count != 1 || len(j.Members) != 1 {
			t.Fatal(j, err)
		}
		if j, err := b.Join(t.Context(), "room", client.JoinOptions{}); err != nil || j.Count != 2 {
			t.Fatal(j, err)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if a.State().Status != client.Connected || slices.Contains(states, client.Waiting) {
			t.Error("an hour of heartbeats: ", states)
		}
		n := int64(0)
		for range 20 {
			for i := range 3 {
				p, err := b.Publish(t.Context(), "room", map[string]any{"n": n}, "")
				if n++; err != nil || p.Seq != n {
					t.Fatal(p, err)
				}
				if i == 0 {
					cut()
				}
			}
			<-time.After(30 * time.Second)
		}
		synctest.Wait()
		var want []int64
		for i := range n {
			want = append(want, i+1)
		}
		if !slices.Equal(heard, want) {
			t.Errorf("%d published, heard %v", n, heard)
		}
		if m, err := a.Members(t.Context(), "room"); err != nil || m.Count != 2 {
			t.Error(m, err)
		}
		if h, err := a.History(t.Context(), "room", "", 5); err != nil || len(h.Messages) != 5 || !h.More {
			t.Error(h, err)
		}
		long := strings.Repeat("x", 100_000)
		if p, err := a.Publish(t.Context(), "room", long, "m"); err != nil || p.ID != "m" {
			t.Error(p, err)
		}
		if p, err := a.Publish(t.Context(), "room", long, "m"); err != nil || !p.Duplicate {
			t.Error(p, err)
		}
		if err := a.Leave(t.Context(), "room"); err != nil {
			t.Error(err)
		}
		if m, err := b.Members(t.Context(), "room"); err != nil || m.Count != 1 {
			t.Error(m, err)
		}
	})
}
