package relay

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// refusedAgain returns the answer to the CONNECT of a client that comes back with its pid, if it is refused.
func (s *returning) refusedAgain() string {
	s.r.T.Helper()
	return s.r.refused(fmt.Sprintf(`{%s"pid":%q,"offset":%q}`, s.auth, s.pid, s.offset))
}

// A pid of a session that was revoked is refused for as long as that is kept, whether its client was
// there then or away, and whether it was the session or its user. It is no other session's matter.
func TestRevokedSessionComesBack(t *testing.T) {
	for name, c := range map[string]struct {
		away bool
		auth string
		rev  func(s *returning) broker.Revocation
	}{
		"connected": {false, `"key":"0123456789abcdef",`, func(s *returning) broker.Revocation { return broker.Revocation{Session: s.sid} }},
		"away":      {true, `"key":"0123456789abcdef",`, func(s *returning) broker.Revocation { return broker.Revocation{Session: s.sid} }},
		"no key":    {true, "", func(s *returning) broker.Revocation { return broker.Revocation{Session: s.sid} }},
		"a guest without a key": {true, "", func(s *returning) broker.Revocation {
			return broker.Revocation{User: strings.Trim(userOf(s), `"`)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				s, other := r.returning(c.auth), r.returning(c.auth)
				if s.Call("join", `{"room":"a"}`); c.away {
					s.cut()
					synctest.Wait()
				}
				rev := c.rev(s)
				rev.Until = time.Now().Add(10 * time.Second).UnixMilli()
				if _, err := r.broker.Revoke(context.Background(), rev); err != nil {
					t.Fatal(err)
				}
				if !c.away {
					s.Packet()
					s.Expect("41")
					s.Closed()
				}
				for range 2 {
					if got := s.refusedAgain(); !strings.Contains(got, `"code":"revoked"`) {
						t.Error(got)
					}
				}
				other.cut()
				synctest.Wait()
				other.again()
				other.expectRecovered(true)
				r.returning(c.auth).expectRecovered(false)
				other.cut()
				<-time.After(11 * time.Second)
				s.again() // it is forgotten
				s.expectRecovered(c.away)
			})
		})
	}
}

// userOf returns the id of a client's user, as JSON.
func userOf(s *returning) string {
	_, rest, _ := strings.Cut(s.welcome, `"user":{"id":`)
	id, _, _ := strings.Cut(rest, ",")
	return id
}
