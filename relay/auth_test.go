package relay

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/wiretest"
)

const secret = "a secret of the tests of 32 bytes or more"

// mint returns a token, good for so long.
func (r *rig) mint(user string, ttl time.Duration, rooms string) string {
	r.T.Helper()
	allowed, err := auth.ParseRooms(rooms)
	if err != nil {
		r.T.Fatal(err)
	}
	token, err := r.cfg.Auth().Mint(auth.Grant{UserID: user, Expires: time.Now().Add(ttl), Rooms: allowed, TokenID: "token-of-" + user})
	if err != nil {
		r.T.Fatal(err)
	}
	return token
}

// user makes a client that is connected with a token.
func (r *rig) user(name, rooms string) *wiretest.Peer {
	r.T.Helper()
	p := r.Open()
	p.Connect(`{"token":"` + r.mint(name, time.Hour, rooms) + `"}`)
	return p
}

// refused connects with auth, and returns the answer, which is no CONNECT.
func (r *rig) refused(auth string) string {
	r.T.Helper()
	p := r.Open()
	p.Packet()
	p.Text("40" + auth)
	s := p.Packet()
	if !strings.HasPrefix(s, "44{") {
		r.T.Fatal("not refused but ", s)
	}
	return s
}

// codeOf returns the code of a failed answer, and the right that it names.
func codeOf(t *testing.T, answer string) string {
	t.Helper()
	e := wiretest.Field(t, answer, "error")
	if e == "" {
		return "ok"
	}
	return strings.Trim(wiretest.Field(t, e, "code")+" "+wiretest.Field(t, e, "right"), `" `)
}

func TestWhoMayConnect(t *testing.T) {
	for mode, want := range map[string]struct{ guest, member string }{
		"open": {"ok", "ok"}, "optional": {"ok", `forbidden" "join`}, "required": {"", ""}, "": {"", ""},
	} {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.user("asha", "lobby:join,publish")
			if got := codeOf(t, p.Call("join", `{"room":"lobby"}`)); got != "ok" {
				t.Errorf("%s: with a token: %s", mode, got)
			}
			if want.guest == "" {
				if got := r.refused(`{"name":"g"}`); !strings.Contains(got, `"code":"unauthorized"`) {
					t.Errorf("%s: a guest: %s", mode, got)
				}
				return
			}
			g := r.guest("g")
			if got := codeOf(t, g.Call("join", `{"room":"lobby"}`)); got != want.member {
				t.Errorf("%s: a guest joins: %s, want %s", mode, got, want.member)
			}
		}, "AUTH="+mode, "AUTH_SECRET="+secret)
	}
}

// A user is whom the token names, and no guest is.
func TestUserOfToken(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		token, err := r.cfg.Auth().Mint(auth.Grant{UserID: "asha@example.com", Name: "Asha", Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		w, _ := r.Open().Connect(`{"name":"Somebody","key":"0123456789abcdef","token":"` + token + `"}`)
		if w.User.ID != "asha@example.com" || w.User.Name != "Asha" || w.User.Guest {
			t.Errorf("%+v", w.User)
		}
		g, _ := r.Open().Connect(`{"name":"Asha","key":"0123456789abcdef"}`)
		if !g.User.Guest || !strings.HasPrefix(g.User.ID, "~") {
			t.Errorf("a guest: %+v", g.User)
		}
		for _, bad := range []string{`"x"`, `"` + token + `x"`, `7`} {
			want := `"code":"unauthorized"`
			if bad == "7" {
				want = `"code":"bad_request"`
			}
			if got := r.refused(`{"token":` + bad + `}`); !strings.Contains(got, want) {
				t.Errorf("%s: %s", bad, got)
			}
		}
	}, "AUTH=open", "AUTH_SECRET="+secret)
}

// Each right opens what it names, and nothing else. What is refused is refused alike whether or not
// there is such a room.
func TestRights(t *testing.T) {
	requests := []struct{ right, event, arg string }{
		{"invisible", "join", `{"room":%q,"invisible":true}`}, // before any other join, which decides that
		{"join", "join", `{"room":%q}`},
		{"history", "join", `{"room":%q,"history":1}`},
		{"history", "join", `{"room":%q,"since":"%s"}`},
		{"members", "join", `{"room":%q,"presence":true}`},
		{"publish", "publish", `{"room":%q,"data":1}`},
		{"signal", "signal", `{"room":%q,"data":1}`},
		{"history", "history", `{"room":%q}`},
		{"members", "members", `{"room":%q}`},
	}
	overPipes(t, func(t *testing.T, r *rig) {
		r.user("owner", "*:join").Call("join", `{"room":"there"}`)
		for _, right := range strings.Split(auth.All.String(), ",") {
			p := r.Open()
			_, offset := p.Connect(`{"token":"` + r.mint("u-"+right, time.Hour, "there:"+right+",join gone:"+right+",join") + `"}`)
			none := r.user("n-"+right, "other:join")
			for _, q := range requests {
				for _, room := range []string{"there", "gone"} {
					arg := strings.Replace(q.arg, "%q", `"`+room+`"`, 1)
					arg = strings.Replace(arg, "%s", offset, 1)
					want := "ok"
					if q.right != right && q.right != "join" {
						want = `forbidden" "` + q.right
					}
					if q.event == "signal" { // which has an answer only if it fails
						p.Text(`42["signal",` + arg + `]`)
						answer := p.Call("ping", "{}")
						if got := strings.Contains(fmt.Sprint(p.Held), `"forbidden"`); got != (want != "ok") {
							t.Errorf("with %s: signal: %v, %s", right, p.Held, answer)
						}
						p.Held = nil
					} else if got := codeOf(t, p.Call(q.event, arg)); got != want {
						t.Errorf("with %s: %s%s: %s, want %s", right, q.event, arg, got, want)
					}
					want = `forbidden" "` + q.right
					if q.event == "join" {
						want = `forbidden" "join`
					}
					if q.event != "signal" {
						if got := codeOf(t, none.Call(q.event, arg)); got != want {
							t.Errorf("without: %s%s: %s, want %s", q.event, arg, got, want)
						}
					}
				}
			}
		}
	}, "AUTH_SECRET="+secret)
}

// A token that is brought later may widen and narrow what its user may do. Rooms that it does not allow
// are left, and nothing of them comes any more.
func TestNarrowedRights(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.user("other", "*:join,publish,members")
		for _, room := range []string{"one", "two"} {
			other.Call("join", `{"room":"`+room+`"}`)
		}
		p := r.user("asha", "*:join,publish,members")
		p.Call("join", `{"room":"one","presence":true}`)
		p.Call("join", `{"room":"two","presence":true}`)
		answer := p.Call("token", `{"token":"`+r.mint("asha", 2*time.Hour, "one:join three:join,publish")+`"}`)
		if wiretest.Field(t, answer, "ok") != "true" || wiretest.Field(t, answer, "left") != `["two"]` ||
			wiretest.Field(t, answer, "expires") != fmt.Sprint(time.Now().Add(2*time.Hour).Unix()*1000) {
			t.Error(answer)
		}
		for request, want := range map[string]string{
			`publish {"room":"one","data":1}`: `forbidden" "publish`, `publish {"room":"two","data":1}`: `forbidden" "publish`,
			`join {"room":"two"}`: `forbidden" "join`, `join {"room":"three"}`: "ok", `members {"room":"one"}`: `forbidden" "members`,
		} {
			event, arg, _ := strings.Cut(request, " ")
			if got := codeOf(t, p.Call(event, arg)); got != want {
				t.Errorf("%s: %s, want %s", request, got, want)
			}
		}
		p.Held = nil
		other.Call("publish", `{"room":"two","data":"secret"}`)
		other.Call("publish", `{"room":"one","data":"open"}`)
		other.Call("leave", `{"room":"one"}`)
		<-time.After(time.Second)
		p.Call("ping", "{}")
		if heard := fmt.Sprint(p.Held); !strings.Contains(heard, "open") || strings.Contains(heard, "secret") || strings.Contains(heard, "presence") {
			t.Error("heard ", heard)
		}
		for token, want := range map[string]string{r.mint("ben", time.Hour, "*:join"): "unauthorized", "x": "unauthorized", "": "unauthorized"} {
			if got := codeOf(t, p.Call("token", `{"token":"`+token+`"}`)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		if got := codeOf(t, p.Call("publish", `{"room":"three","data":1}`)); got != "ok" {
			t.Error("after a token that was refused: ", got)
		}
	}, "AUTH_SECRET="+secret)
}

// awaitPacket returns the next packet that begins so; it answers heartbeats meanwhile.
func awaitPacket(p *wiretest.Peer, prefix string) string {
	p.T.Helper()
	for {
		switch s := p.Packet(); {
		case s == "2":
			p.Text("3")
		case strings.HasPrefix(s, prefix):
			return s
		default:
			p.T.Fatalf("%s, not %s", s, prefix)
		}
	}
}

// Before a token expires its client is asked for another, and closed after a grace if it brings none.
func TestTokenExpires(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		began := time.Now()
		after := func(want time.Duration) {
			t.Helper()
			if d := time.Since(began); d.Round(time.Millisecond) != want {
				t.Errorf("after %v, want %v", d, want)
			}
		}
		p := r.Open()
		p.Connect(`{"token":"` + r.mint("asha", time.Minute, "*:join,publish") + `"}`)
		p.Call("join", `{"room":"a"}`)
		awaitPacket(p, `421["token_expires",{"expires":`)
		after(30 * time.Second)
		p.Text(`431[{"token":"` + r.mint("asha", time.Minute, "*:join,publish") + `"}]`)
		p.Nothing()
		awaitPacket(p, `422["token_expires"`)
		after(time.Minute)
		if got := codeOf(t, p.Call("publish", `{"room":"a","data":1}`)); got != "ok" {
			t.Error(got)
		}
		p.Text(`432[{"token":"x"}]`)
		p.Held = nil // its own message
		if told := awaitPacket(p, `42["error_event"`); !strings.Contains(told, `"code":"unauthorized"`) {
			t.Error(told)
		}
		after(time.Minute)
		if told := awaitPacket(p, `42["error_event"`); !strings.Contains(told, "the token has expired") {
			t.Error(told)
		}
		after(90*time.Second + expiryGrace)
		if _, reason := p.Closed(); reason != "the token has expired" {
			t.Errorf("closed because of %q", reason)
		}
	}, "AUTH_SECRET="+secret)
}

const expiryGrace = 25 * time.Second // as the design says

// Who is revoked is cut off, and let in again only as the revocation says.
func TestRevoked(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		until := time.Now().Add(time.Hour).UnixMilli()
		revoke := func(rev broker.Revocation) {
			t.Helper()
			rev.Until = until
			if c, err := r.broker.Revoke(context.Background(), rev); err != nil || !c.Stored {
				t.Fatal(c, err)
			}
		}
		gone := func(p *wiretest.Peer) {
			t.Helper()
			if s := p.Packet(); !strings.Contains(s, `"code":"revoked"`) {
				t.Error("told ", s)
			}
			p.Expect("41")
			p.Closed()
		}
		asha, ben, cleo := r.user("asha", "*:join"), r.user("ben", "*:join"), r.user("cleo", "*:join")
		revoke(broker.Revocation{User: "asha", IssuedBefore: time.Now().Add(time.Second).UnixMilli()})
		gone(asha)
		ben.Nothing()
		if got := r.refused(`{"token":"` + r.mint("asha", time.Hour, "*:join") + `"}`); !strings.Contains(got, `"code":"revoked"`) {
			t.Error(got)
		}
		<-time.After(2 * time.Second)
		r.user("asha", "*:join").Nothing() // a token that was issued later
		revoke(broker.Revocation{Token: "token-of-ben"})
		gone(ben)
		if got := r.refused(`{"token":"` + r.mint("ben", time.Hour, "*:join") + `"}`); !strings.Contains(got, `"code":"revoked"`) {
			t.Error(got)
		}
		revoke(broker.Revocation{User: "cleo", Reauth: true, IssuedBefore: time.Now().UnixMilli()})
		if s := cleo.Packet(); !strings.HasPrefix(s, `421["token_expires"`) {
			t.Error("asked ", s)
		}
		<-time.After(time.Second)
		cleo.Text(`431[{"token":"` + r.mint("cleo", time.Hour, "*:join") + `"}]`)
		cleo.Nothing()
	}, "AUTH_SECRET="+secret)
}

// A session goes on with the rights of now.
func TestResumeWithOtherRights(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.user("other", "*:join,publish")
		other.Call("join", `{"room":"one"}`)
		other.Call("join", `{"room":"two"}`)
		p := r.Open()
		p.Packet()
		p.Text(`40{"token":"` + r.mint("asha", time.Hour, "*:join") + `"}`)
		connected := strings.TrimPrefix(p.Packet(), "40")
		welcome := p.Packet()
		pid, offset := wiretest.Field(t, connected, "pid"), welcome[strings.LastIndex(welcome, `,"`)+1:len(welcome)-1]
		p.Call("join", `{"room":"one"}`)
		p.Call("join", `{"room":"two"}`)
		synctest.Wait()
		_ = p.Conn.Close()
		synctest.Wait()
		other.Call("publish", `{"room":"one","data":"first"}`)
		other.Call("publish", `{"room":"two","data":"second"}`)
		p = r.Open()
		p.Packet()
		p.Text(`40{"pid":` + pid + `,"offset":` + offset + `,"token":"` + r.mint("asha", time.Hour, "one:join") + `"}`)
		missed, again, welcome := p.Packet(), p.Packet(), p.Packet()
		if !strings.Contains(missed, "first") || !strings.HasPrefix(again, "40{") || !strings.Contains(welcome, `"rooms":["one"],"left":["two"]`) {
			t.Errorf("%s\n%s\n%s", missed, again, welcome)
		}
		p.Nothing()
	}, "AUTH_SECRET="+secret)
}

// A session none of whose rooms its client may be in goes on without any.
func TestResumeWithoutRooms(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		for rooms, left := range map[string]string{"": "", "one": `["one"]`} {
			s := r.returning(`"token":"` + r.mint("asha", time.Hour, "*:join") + `",`)
			if rooms != "" {
				s.Call("join", `{"room":"`+rooms+`"}`)
			}
			s.cut()
			synctest.Wait()
			s.auth = `"token":"` + r.mint("asha", time.Hour, "other:join") + `",`
			s.again()
			s.expectRecovered(true)
			if got := wiretest.Field(t, s.welcome, "rooms"); got != "[]" || wiretest.Field(t, s.welcome, "left") != left {
				t.Error("welcome ", s.welcome)
			}
		}
	}, "AUTH_SECRET="+secret)
}

// Who is invisible hears all, and is in no list, no count and no change; also after the session went on.
func TestInvisible(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		seen := r.user("seen", "*:join,publish,members")
		seen.Call("join", `{"room":"a","presence":true}`)
		p := r.Open()
		p.Packet()
		p.Text(`40{"token":"` + r.mint("ghost", time.Hour, "*:join,members,invisible") + `"}`)
		pid := wiretest.Field(t, strings.TrimPrefix(p.Packet(), "40"), "pid")
		p.Packet()
		if ack := p.Call("join", `{"room":"a","invisible":true,"presence":true}`); wiretest.Field(t, ack, "count") != "1" || strings.Contains(wiretest.Field(t, ack, "members"), "ghost") {
			t.Error(ack)
		}
		if ack := p.Call("join", `{"room":"nobody","invisible":true,"presence":true}`); wiretest.Field(t, ack, "count") != "0" || wiretest.Field(t, ack, "members") != "[]" {
			t.Error("alone: ", ack)
		}
		seen.Call("publish", `{"room":"a","data":1}`)
		message := p.Packet()
		if !strings.HasPrefix(message, `42["message",`) {
			t.Error("heard ", message)
		}
		for range 2 { // as it is, and over another connection
			if ack := seen.Call("members", `{"room":"a"}`); wiretest.Field(t, ack, "count") != "1" {
				t.Error(ack)
			}
			_ = p.Conn.Close()
			synctest.Wait()
			offset := message[strings.LastIndex(message, `,"`)+1 : len(message)-1]
			p = r.Open()
			p.Packet()
			p.Text(`40{"pid":` + pid + `,"offset":` + offset + `,"token":"` + r.mint("ghost", time.Hour, "*:join,members,invisible") + `"}`)
			if again := p.Packet(); !strings.HasPrefix(again, `40{`) {
				t.Error("recovered: ", again)
			}
		}
		<-time.After(5 * time.Second)
		seen.Call("ping", "{}")
		if heard := fmt.Sprint(seen.Held); strings.Contains(heard, "presence") {
			t.Error("others heard ", heard)
		}
	}, "AUTH_SECRET="+secret)
}

// A relay that everybody may use says so, loudly if others than this machine can reach it.
func TestOpenIsSaid(t *testing.T) {
	for pairs, want := range map[string]string{"": "level=WARN", "HOST=0.0.0.0": "level=WARN", "HOST=127.0.0.1": "level=INFO", "HOST=localhost": "level=INFO",
		"HOST=::1": "level=INFO", "AUTH_SECRET=" + secret: "", "GUEST_ROOMS=lobby:join": "level=WARN"} {
		var all []string
		if pairs != "" {
			all = append(all, pairs)
		}
		log := &wiretest.Log{}
		settings(t, all...).WarnOpen(slog.New(slog.NewTextHandler(log, nil)))
		if said := log.Has("AUTH is open"); said != (want != "") || said && !log.Has(want) {
			t.Errorf("%q: want %q", pairs, want)
		}
		if restricted := strings.HasPrefix(pairs, "GUEST_ROOMS"); log.Has("may do what GUEST_ROOMS says") != restricted || restricted && log.Has("all rooms") {
			t.Errorf("%q: it does not say what everybody may do", pairs)
		}
	}
}
