package relay

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/wiretest"
)

const closePolicy = 1008

// floods are requests, each with the settings by which two at a time and one a second may come.
var floods = []struct{ event, arg, setting string }{
	{"publish", `{"room":"room","data":1}`, "PUBLISH_RATE"},
	{"publish", `{"room":"room","data":1}`, "USER_PUBLISH_RATE"},
	{"signal", `{"room":"room","data":1}`, "SIGNAL_RATE"},
	{"signal", `{"room":"room","data":1}`, "USER_SIGNAL_RATE"},
	{"join", `{"room":"other"}`, "JOIN_RATE"},
	{"join", `{"room":"other"}`, "USER_JOIN_RATE"},
	{"history", `{"room":"room"}`, "HISTORY_RATE"},
	{"history", `{"room":"room"}`, "USER_HISTORY_RATE"},
	{"members", `{"room":"room"}`, "HISTORY_RATE"},
	{"members", `{"room":"room"}`, "USER_HISTORY_RATE"},
	{"ping", `{}`, "EVENT_RATE"},
	{"leave", `{"room":"other"}`, "EVENT_RATE"},
	{"nonsense", `{}`, "EVENT_RATE"},
}

// What is too often is refused, says how long to wait, and is taken after that; the log names the
// setting. Who does not stop is closed.
func TestEventsAreLimited(t *testing.T) {
	for _, f := range floods {
		t.Run(f.event+" "+f.setting, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.member("a", "room")
				<-time.After(time.Second) // what joining took
				refused, last := 0, fault{}
				for range 4 {
					if f.event == "signal" { // not acknowledged: the fault is an event
						p.Text(fmt.Sprintf(`42["%s",%s]`, f.event, f.arg))
						synctest.Wait()
						continue
					}
					if got := faultIn(t, p.Call(f.event, f.arg)); got.Code == codeRateLimited {
						refused++
						last = got
					}
				}
				if f.event == "signal" {
					for range 2 {
						if got := p.Packet(); !strings.HasPrefix(got, `42["error_event",{"ok":false,"error":{"code":"rate_limited"`) {
							t.Fatal(got)
						}
					}
					p.Nothing()
				} else if refused != 2 || last.Retry != 1000 || !strings.HasSuffix(last.Message, "wait 1000 ms") {
					t.Fatal(refused, last)
				}
				if !r.log.Has("more than " + f.setting) {
					t.Error("the log does not name the setting")
				}
				<-time.After(time.Second)
				if f.event != "signal" {
					if got := faultIn(t, p.Call(f.event, f.arg)); got.Code == codeRateLimited {
						t.Error("it waited, and got ", got)
					}
				}
				floodUntilClosed(t, p, fmt.Sprintf(`42["%s",%s]`, f.event, f.arg))
			}, f.setting+"=1/s:2")
		})
	}
}

// faultIn returns the fault that an answer tells, or the zero one.
func faultIn(t *testing.T, answer string) fault {
	t.Helper()
	if strings.HasPrefix(answer, `{"ok":true`) {
		return fault{}
	}
	return failure(t, answer)
}

// floodUntilClosed sends a packet again and again until the client is closed for it. Of what is refused it
// is told a few times.
func floodUntilClosed(t *testing.T, p *wiretest.Peer, packet string) {
	t.Helper()
	go func() {
		for range 5000 {
			if _, err := p.Conn.Write(wiretest.ClientFrame(0x81, []byte(packet))); err != nil {
				return
			}
		}
	}()
	told := 0
	for {
		f, err := wiretest.ReadFrame(p.Reader)
		if err != nil {
			t.Fatal("cut without a word: ", err)
		}
		if f.Op == wiretest.OpClose {
			if code := int(f.Payload[0])<<8 | int(f.Payload[1]); code != closePolicy || !strings.HasPrefix(string(f.Payload[2:]), codeRateLimited) {
				t.Errorf("closed with %d %q", code, f.Payload[2:])
			}
			break
		}
		if strings.Contains(string(f.Payload), "error_event") {
			told++
		}
	}
	if told > 25 {
		t.Errorf("told %d times", told)
	}
}

// Packets that are no events are limited, too: of a CONNECT the client is told.
func TestPacketsAreLimited(t *testing.T) {
	for name, packet := range map[string]string{
		"acks nobody asked for": `437[1]`,
		"unknown namespaces":    `40/x,`,
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				floodUntilClosed(t, r.guest("a"), packet)
			}, "EVENT_RATE=10/s")
		})
	}
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Text("40/x,")
		p.Expect(`44/x,{"message":"Invalid namespace"}`)
		p.Text("40/x,")
		p.Expect(`44/x,{"data":{"code":"rate_limited","retry":1000},"message":"too many packets"}`)
	}, "EVENT_RATE=1/s:2")
}

// A client that has sent too many bytes is refused what it asks until it has waited.
func TestBytesAreLimited(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "room")
		long := `{"room":"room","data":"` + strings.Repeat("x", 6000) + `"}`
		for range 4 {
			if got := p.Call("publish", long); wiretest.Field(t, got, "ok") != "true" {
				t.Fatal(got)
			}
			p.Packet() // the message
		}
		got := failure(t, p.Call("publish", long))
		if got.Code != codeRateLimited || got.Retry < 7000 || got.Retry > 10_000 {
			t.Fatal(got)
		}
		<-time.After(time.Duration(got.Retry+1) * time.Millisecond)
		if got := p.Call("publish", long); wiretest.Field(t, got, "ok") != "true" { // the same again
			t.Fatal(got)
		}
	}, "BYTES_RATE=1000/s:28000", "MAX_PAYLOAD=7000")
}

// What is too large to come with a CONNECT is refused, and need not be JSON for that.
func TestLongAuth(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.Open()
		p.Packet()
		for _, long := range []string{
			`40{"name":"` + strings.Repeat("x", 1<<16-10) + `"}`,
			`40{"name":"` + strings.Repeat("x", 70_000) + `"}`,
			`40{"name":"` + strings.Repeat("x", 70_000),
		} {
			p.Text(long)
			if got := p.Packet(); !strings.HasPrefix(got, `44{`) || !strings.Contains(got, `"code":"too_large"`) {
				t.Error(got)
			}
		}
		p.Text(`40`)
		if got := p.Packet(); !strings.HasPrefix(got, `40{`) {
			t.Error(got)
		}
	})
}

func TestMaxRooms(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		for i := range 4 {
			got := p.Call("join", fmt.Sprintf(`{"room":"room-%d"}`, i))
			if ok := wiretest.Field(t, got, "ok") == "true"; ok != (i < 3) {
				t.Fatal(i, got)
			}
		}
		if got := p.Call("join", `{"room":"room-0"}`); wiretest.Field(t, got, "ok") != "true" {
			t.Fatal(got)
		}
	}, "MAX_ROOMS=3")
}

// A full room takes nobody more, but for another connection of who is in it; a place that is left is
// free.
func TestMaxMembers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		const key = "0123456789abcdef"
		a := r.Open()
		a.Connect(`{"key":"` + key + `"}`)
		if got := a.Call("join", `{"room":"room"}`); wiretest.Field(t, got, "ok") != "true" {
			t.Fatal(got)
		}
		r.member("b", "room")
		c := r.guest("c")
		if got := failure(t, c.Call("join", `{"room":"room"}`)); got.Code != codeFull {
			t.Fatal(got)
		}
		if got := failure(t, c.Call("publish", `{"room":"room","data":1}`)); got.Code != codeNotJoined {
			t.Fatal(got)
		}
		again := r.Open()
		again.Connect(`{"key":"` + key + `"}`)
		if got := again.Call("join", `{"room":"room"}`); wiretest.Field(t, got, "ok") != "true" {
			t.Fatal(got)
		}
		if got := a.Call("members", `{"room":"room"}`); wiretest.Field(t, got, "count") != "2" {
			t.Fatal(got)
		}
		again.Call("leave", `{"room":"room"}`)
		a.Call("leave", `{"room":"room"}`)
		if got := c.Call("join", `{"room":"room"}`); wiretest.Field(t, got, "ok") != "true" {
			t.Fatal(got)
		}
	}, "MAX_MEMBERS=2")
}

// What a token does not allow costs as much as what it does, and who does not stop is closed.
func TestForbiddenIsLimited(t *testing.T) {
	for event, arg := range map[string]string{
		"join": `{"room":"secret"}`, "publish": `{"room":"secret","data":1}`, "signal": `{"room":"secret","data":1}`,
		"history": `{"room":"secret"}`, "members": `{"room":"secret"}`,
	} {
		t.Run(event, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.user("asha", "lobby:join")
				if event != "signal" { // which has an answer only as an event
					for _, want := range []string{"forbidden", codeRateLimited} {
						if got := failure(t, p.Call(event, arg)); got.Code != want {
							t.Fatal(got)
						}
					}
				}
				floodUntilClosed(t, p, fmt.Sprintf(`42["%s",%s]`, event, arg))
			}, "AUTH_SECRET="+secret, "PUBLISH_RATE=1/s", "SIGNAL_RATE=1/s", "JOIN_RATE=1/s", "HISTORY_RATE=1/s")
		})
	}
}

// Checking a token is dear: what brings one is limited by connection and by address, and who goes on
// bringing bad ones is closed.
func TestBadTokensAreLimited(t *testing.T) {
	const bad = `{"token":"no.token.atall"}`
	for _, setting := range []string{"EVENT_RATE=10/s", "HANDSHAKE_RATE=10/s:50"} {
		overPipes(t, func(t *testing.T, r *rig) {
			floodUntilClosed(t, r.user("asha", "lobby:join"), `42["token",`+bad+`]`)
			<-time.After(10 * time.Second) // the address pays for that
			p := r.Open()
			p.Packet()
			floodUntilClosed(t, p, "40"+bad)
			refused := wiretest.Series(t, r.srv.Metrics().Handler())[`setu_refusals_total{limit="unauthorized"}`]
			if refused == 0 || refused > 110 {
				t.Errorf("%s: %v tokens were looked at", setting, refused)
			}
		}, setting, "AUTH_SECRET="+secret)
	}
}

// The handshake pays for a session's first CONNECT, whatever its address has done meanwhile; each other
// one, and each token that is brought later, costs the address another.
func TestCONNECTsOfAnAddress(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		token := `{"token":"` + r.mint("asha", time.Hour, "lobby:join") + `"}`
		p, q := r.Open(), r.Open()
		p.Packet()
		q.Connect(token)
		p.Text(`40{"token":"x"}`)
		if got := p.Packet(); !strings.Contains(got, `"unauthorized"`) {
			t.Fatal(got)
		}
		p.Text("40" + token)
		p.Expect(`44{"data":{"code":"rate_limited","retry":10000},"message":"too many CONNECTs from this address"}`)
		if got := failure(t, q.Call("token", token)); got.Code != codeRateLimited || got.Retry != 10000 {
			t.Fatal(got)
		}
		<-time.After(10 * time.Second)
		if got := q.Call("token", token); wiretest.Field(t, got, "ok") != "true" {
			t.Fatal(got)
		}
		<-time.After(10 * time.Second)
		p.Text("40" + token)
		if got := p.Packet(); !strings.HasPrefix(got, `40{"sid":"`) {
			t.Fatal(got)
		}
	}, "HANDSHAKE_RATE=6/m:2", "AUTH_SECRET="+secret)
}
