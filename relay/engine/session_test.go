package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// A session that a drain closes before it has a transport ends as soon as it has one.
func TestCloseBeforeTheTransport(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		s, err := r.srv.admit(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		s.out.wake = func() {}
		s.close(closeRestart, "this relay restarts", false)
		s.forceClose()
		if s.Send(pingFrame) {
			t.Error("a session that is closed takes more")
		}
		var d transportBook
		s.begin(&d) // starts no clock
		s.close(closeNormal, "", true)
		if want := []string{"1012 this relay restarts false"}; !slices.Equal(d.ends, want) {
			t.Error(d.ends)
		}
		s.forceClose()
		if len(d.ends) != 2 || d.ends[1] != "1012 this relay restarts true" {
			t.Error(d.ends)
		}
		s.onTransportClosed()
		r.srv.remove(s)
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// transportBook notes how a session is ended.
type transportBook struct{ ends []string }

func (d *transportBook) end(code int, reason string, force bool) {
	d.ends = append(d.ends, fmt.Sprint(code, " ", reason, " ", force))
}
