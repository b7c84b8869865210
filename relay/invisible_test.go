package relay

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/room"
	"setu/relay/wiretest"
)

// ghost makes a client of the user "ghost", with these rights in all rooms, that comes back with a token.
func (r *rig) ghost(rights string) *returning {
	r.T.Helper()
	return r.returning(`"token":"` + r.mint("ghost", time.Hour, "*:"+rights) + `",`)
}

// userCount is how many users of a room another one sees.
func userCount(p *wiretest.Peer, room string) string {
	p.T.Helper()
	return wiretest.Field(p.T, p.Call("members", `{"room":"`+room+`"}`), "count")
}

// A join of a room that a client is in leaves it as visible as it is, and one that would have it
// otherwise is told so; a session that goes on does so as it was.
func TestInvisibleUntilLeft(t *testing.T) {
	for name, c := range map[string]struct {
		first           string
		same, otherwise []string
		count           string
	}{
		"in sight":  {`{"room":"a"}`, []string{`{"room":"a"}`, `{"room":"a","invisible":false}`, `{"room":"a","invisible":null}`}, []string{`{"room":"a","invisible":true}`}, "1"},
		"invisible": {`{"room":"a","invisible":true}`, []string{`{"room":"a"}`, `{"room":"a","invisible":true}`, `{"room":"a","presence":true}`}, []string{`{"room":"a","invisible":false}`}, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				seer := r.user("seer", "*:members")
				s := r.ghost("join,members,invisible")
				s.Call("join", c.first)
				for _, again := range c.same {
					if got := codeOf(t, s.Call("join", again)); got != "ok" {
						t.Errorf("%s: %s", again, got)
					}
				}
				for _, again := range c.otherwise {
					if got := faultIn(t, s.Call("join", again)); got.Code != codeBadRequest || !strings.Contains(got.Message, "leave it first") {
						t.Errorf("%s: %+v", again, got)
					}
				}
				for _, when := range []string{"after repeated joins", "after a resume"} {
					if n := userCount(seer, "a"); n != c.count {
						t.Errorf("%s: %s users, want %s", when, n, c.count)
					}
					s.hear()
					s.cut()
					synctest.Wait()
					s.again()
					s.expectRecovered(true)
				}
				s.Call("leave", `{"room":"a"}`)
				if got := codeOf(t, s.Call("join", c.otherwise[0])); got != "ok" {
					t.Error("after leaving: ", got)
				}
			}, "AUTH_SECRET="+secret)
		})
	}
}

// Who is invisible takes no place in a room that may have so many members, and gets none by resuming a
// session.
func TestInvisibleTakeNoPlace(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		seer := r.user("seer", "*:members")
		away := r.returning(`"token":"` + r.mint("away", time.Hour, "*:join") + `",`)
		away.Call("join", `{"room":"a"}`)
		r.user("b", "*:join").Call("join", `{"room":"a"}`)
		away.cut()
		<-time.After(room.LeaveGrace + time.Second)
		r.user("c", "*:join").Call("join", `{"room":"a"}`)
		for _, presence := range []string{"false", "true"} {
			s := r.ghost("join,members,invisible")
			if got := codeOf(t, s.Call("join", `{"room":"a","invisible":true,"presence":`+presence+`}`)); got != "ok" {
				t.Error("invisible, with presence " + presence + ": " + got)
			}
			s.Call("join", `{"room":"a"}`)
			s.hear()
			s.cut()
			<-time.After(room.LeaveGrace + time.Second)
			s.again()
			s.expectRecovered(true)
			want := "2"
			if presence == "true" {
				want = "3"
			}
			if n := userCount(seer, "a"); n != want {
				t.Errorf("after a resume: %s users, want %s", n, want)
			}
			away.again() // who had a place has it still: from now on there are more than may come
			away.expectRecovered(true)
		}
		if got := codeOf(t, r.user("d", "*:join").Call("join", `{"room":"a"}`)); got != "full" {
			t.Error("one more: ", got)
		}
	}, "AUTH_SECRET="+secret, "MAX_MEMBERS=2")
}

// Who has another token that does not allow to be invisible leaves the rooms in which they are, and is
// told; nobody else sees them.
func TestInvisibleNoMore(t *testing.T) {
	for name, lose := range map[string]func(s *returning, token string) (left string){
		"by the event token": func(s *returning, token string) string {
			return wiretest.Field(s.T, s.Call("token", `{"token":"`+token+`"}`), "left")
		},
		"by the answer to token_expires": func(s *returning, token string) string {
			ask, _, _ := strings.Cut(awaitPacket(s.Peer, "42"), "[")
			s.Text("43" + ask[len("42"):] + `[{"token":"` + token + `"}]`)
			told := awaitPacket(s.Peer, `42["left",`)
			return wiretest.Field(s.T, strings.TrimSuffix(strings.TrimPrefix(told, `42["left",`), "]"), "rooms")
		},
		"by a resume": func(s *returning, token string) string {
			s.cut()
			synctest.Wait()
			s.auth = `"token":"` + token + `",`
			s.again()
			s.expectRecovered(true)
			return wiretest.Field(s.T, s.welcome, "left")
		},
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				seer := r.user("seer", "*:join,publish,members")
				for _, room := range []string{"hidden", "seen"} {
					seer.Call("join", `{"room":"`+room+`","presence":true}`)
				}
				s := r.returning(`"token":"` + r.mint("ghost", 40*time.Second, "*:join,members,invisible") + `",`) // asked for another after 20
				s.Call("join", `{"room":"seen"}`)
				s.Call("join", `{"room":"hidden","invisible":true}`)
				s.hear()
				if left := lose(s, r.mint("ghost", time.Hour, "*:join,members")); left != `["hidden"]` {
					t.Errorf("left: %s", left)
				}
				say(seer, 1, "hidden", "seen")
				s.hear()
				s.expectSeen("seen 1")
				if n := userCount(seer, "hidden"); n != "1" {
					t.Errorf("%s users where it was invisible", n)
				}
			}, "AUTH_SECRET="+secret)
		})
	}
}
