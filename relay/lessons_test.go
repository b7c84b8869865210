package relay

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
)

// What has broken others, where no other test shows it: see protocol.md.

// CVE-2017-16031: ids come from the system's randomness and from nothing else.
func TestCVE201716031(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		id := newID()
		if seen[id] || len(id) < 20 {
			t.Fatal(id)
		}
		seen[id] = true
	}
	cryptotest.SetGlobalRandom(t, 1)
	first := newID()
	if cryptotest.SetGlobalRandom(t, 1); newID() != first {
		t.Error("something but crypto/rand is in an id")
	}
	cryptotest.SetGlobalRandom(t, 2)
	differ := 0
	for i, c := range []byte(newID()) {
		if c != first[i] {
			differ++
		}
	}
	if differ < len(first)/2 { // by chance, one in 32 is alike
		t.Errorf("only %d of %d characters are random", differ, len(first))
	}
}

// CVE-2020-28481: a page of another site gets nowhere, by no transport, not even with a session's id.
func TestCVE202028481(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		k := upgrade(t, r.dial())
		h, err := engineio.ParseHandshake([]byte(k.packet()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		evil := http.Header{"Origin": {"https://evil.example"}}
		up := http.Header{"Origin": {"https://evil.example"}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
		for _, sid := range []string{"", "&sid=" + p.sid, "&sid=" + h.SID, "&sid=unknown"} {
			for _, method := range []string{"GET", "POST", "OPTIONS", "PUT"} {
				for _, ask := range []struct {
					transport string
					header    http.Header
				}{{"polling", evil}, {"websocket", up}, {"neither", evil}} {
					if status, body := r.get(method, Path+"?EIO=4&transport="+ask.transport+sid, ask.header); status != 403 || body != `{"code":4,"message":"Forbidden"}` {
						t.Error(method, ask.transport, sid, status, body)
					}
				}
			}
		}
		if n := r.srv.count(); n != 2 {
			t.Errorf("%d sessions", n)
		}
		p.still()
		k.text("4x")
		k.expect("4x")
	})
}

// CVE-2020-36049: a packet that announces attachments has a count (see TestViolationsClose), a budget and a deadline, by either
// door.
func TestCVE202036049(t *testing.T) {
	const announced = `453-["publish",{"_placeholder":true,"num":0}]`
	t.Run("budget, WebSocket", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.guest("a")
			p.text(announced)
			p.write(clientFrame(0x82, make([]byte, 1000)))
			go func() { _, _ = p.c.Write(clientFrame(0x82, make([]byte, 1000))) }()
			if code, reason := p.closed(); code != closeTooBig || !r.log.has("MAX_PAYLOAD") {
				t.Errorf("closed with %d %q", code, reason)
			}
			p.eof()
		}, "MAX_PAYLOAD=2000")
	})
	t.Run("budget, polling", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.pollingGuest("a")
			chunk := string(engineio.NewMessage(make([]byte, 1000), true).AppendPayload(nil))
			p.say(announced, chunk)
			if got := p.post(chunk); got.status == 200 {
				t.Error("was taken")
			}
			synctest.Wait()
			if !r.log.has("MAX_PAYLOAD") || r.srv.count() != 0 {
				t.Errorf("%d sessions are left", r.srv.count())
			}
		}, "MAX_PAYLOAD=2000")
	})
	t.Run("deadline, WebSocket", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.guest("a")
			start := time.Now()
			p.text(announced)
			p.write(clientFrame(0x82, []byte("one of three")))
			p.expect("2")
			p.text("3")
			if code, reason := p.closed(); code != closeProtocol || time.Since(start) != attachTimeout {
				t.Errorf("closed with %d %q after %s", code, reason, time.Since(start))
			}
			p.eof()
		})
	})
	t.Run("deadline, polling", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.pollingGuest("a")
			start := time.Now()
			p.say(announced, "b")
			p.get().is(t, 200, "2")
			p.say("3")
			p.get().is(t, 200, "1")
			if took := time.Since(start); took != attachTimeout {
				t.Errorf("ended after %s", took)
			}
		})
	})
	t.Run("the end in the middle", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.pollingGuest("a")
			p.say(announced, "b")
			p.say("1")
			p.get().is(t, 200, "6")
			<-time.After(2 * attachTimeout) // its timer is stopped: the bubble would not end before
			if n := r.srv.count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	})
}

// CVE-2023-31125: no parameter of a polling request's reaches a name that is not there.
func TestCVE202331125(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		sid := "&sid=" + p.sid
		tests := map[string]int{ // the code of the refusal
			"EIO=4&transport=__proto__" + sid:                            0,
			"EIO=4&transport=constructor" + sid:                          0,
			"EIO=4&transport=polling&transport=polling" + sid:            0,
			"EIO=4&transport=" + sid:                                     0,
			"EIO=4&TRANSPORT=polling" + sid:                              0,
			"EIO=4&transport=Polling" + sid:                              0,
			"EIO=4&transport=polling%00" + sid:                           0,
			"EIO=4&EIO=4&transport=polling" + sid:                        5,
			"EIO=4&transport=polling&sid=__proto__":                      1,
			"EIO=4&transport=polling&sid=x" + sid:                        1,
			"EIO=4&transport=polling" + sid[:len(sid)-1]:                 1,
			"EIO=4&transport=polling" + sid + "%00":                      1,
			"EIO=4&transport=polling" + "&sid=" + strings.ToUpper(p.sid): 1,
		}
		for query, code := range tests {
			for _, method := range []string{"GET", "POST"} {
				if status, body := r.get(method, Path+"?"+query, nil); status != 400 || errorOf(t, body) != code {
					t.Error(method, query, status, body)
				}
			}
		}
		if n := r.srv.count(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		p.still()
	})
}

// CVE-2023-32695, CVE-2024-38355: what is no event costs the one who sent it his session, by polling as well.
func TestCVE202332695(t *testing.T) {
	for _, packet := range []string{`42[{"toString":"foo"}]`, `42[true]`, `42[null]`, `42[]`, `42["connect"]`, `42[[]]`, `42{"0":"join"}`,
		`42["join",` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `]`, `42["join",` + strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat("}", 10_000) + `]`} {
		overPipes(t, func(t *testing.T, r *rig) {
			witness, p := r.pollingMember("witness", "room"), r.pollingMember("a", "room")
			p.post(packet).is(t, 400, refusal)
			p.get().is(t, 400, unknownSID)
			if ack := witness.call("publish", `{"room":"room","data":1}`); field(t, ack, "ok") != "true" {
				t.Error(ack)
			}
			synctest.Wait()
			if n := r.srv.count(); n != 1 {
				t.Errorf("%.100s: %d sessions are left", packet, n)
			}
		})
	}
	overPipes(t, func(t *testing.T, r *rig) { // only a name, here
		p := r.pollingGuest("a")
		p.say(`427["error",{}]`)
		if got := p.packet(); !strings.HasPrefix(got, `437[{"ok":false,"error":{"code":"bad_request"`) {
			t.Error(got)
		}
	})
}

// CVE-2024-37890: headers are bounded on a request that has a session, too.
func TestCVE202437890(t *testing.T) {
	r := engineOverTCP(t, tapes(echo))
	p := r.polls()
	for name, h := range map[string]http.Header{"large": {"Cookie": {strings.Repeat("c", 32<<10)}}, "many": {"Cookie": strings.Split(strings.Repeat("c=d ", 4000), " ")}} {
		if status, _ := r.get("GET", Path+"?EIO=4&transport=polling&sid="+p.sid, h); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Error(name, status)
		}
	}
	p.still()
}

// CVE-2026-45736: no message holds bytes of another's, on whatever way it came and goes, however long somebody keeps it.
func TestCVE202645736(t *testing.T) {
	type kept struct {
		data []byte
		want string
	}
	var mu sync.Mutex
	var all []kept
	r := engineOverTCP(t, tapes(func(s *Session, data []byte, binary bool) error {
		mu.Lock()
		all = append(all, kept{data, string(data)})
		mu.Unlock()
		return echo(s, data, binary)
	}))
	var clients sync.WaitGroup
	for c := range 4 {
		p, k := r.polls(), r.open()
		k.packet()
		clients.Go(func() {
			for i := range 40 {
				n := []int{1, 60_000, 10, 3000}[(c+i)%4] // a short one behind a long one
				text := filler(c*1000+i, n)
				body := string(text)
				if i%2 == 0 {
					body = string(engineio.NewMessage(text, true).AppendPayload(nil))
				}
				if got := p.post(body); got.body != "ok" {
					t.Error(got)
				}
				if got := p.get(); got.body != body {
					t.Errorf("%d bytes came back as %d %.60q", len(body), len(got.body), got.body)
				}
				if _, err := k.c.Write(clientFrame(0x81, text)); err != nil {
					t.Error(err)
				}
				if f, err := readFrame(k.r); err != nil || !bytes.Equal(f.payload, text) {
					t.Errorf("%d bytes came back as %d %.60q", n, len(f.payload), f.payload)
				}
			}
		})
	}
	clients.Wait()
	for _, one := range all {
		if string(one.data) != one.want {
			t.Fatalf("%.60q has become %.60q", one.want, one.data)
		}
	}
}

// A flood of separators is a flood of packets: the first empty one ends it, and none of it takes memory.
func TestFloodOfSeparators(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		for _, body := range []string{strings.Repeat("\x1e", 1_000_000), "4x\x1e" + strings.Repeat("\x1e", 999_997)} {
			p := r.polls()
			p.post(body).is(t, 400, refusal)
			p.get().is(t, 400, unknownSID)
		}
		p := r.polls()
		p.say(strings.Repeat("3\x1e", 499_999) + "3") // pongs: nothing to do, and no harm
		p.still()
	})
	body := bytes.Repeat([]byte("\x1e"), 1_000_000)
	if n := testing.AllocsPerRun(3, func() {
		for b := range engineio.SplitPayload(body) {
			_, _ = engineio.ParseText(b)
		}
	}); n > 0 {
		t.Errorf("a million packets take %v allocations", n)
	}
}

// A body that trickles in has as long as a client may be silent, and so has its connection.
func TestSlowLorisPoll(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		c := r.dial()
		_, _ = fmt.Fprintf(c, "POST %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n\r\n", Path, p.sid)
		start := time.Now()
		go func() {
			for {
				if _, err := c.Write([]byte("4")); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		_, _ = io.Copy(io.Discard, c)
		if took := time.Since(start); took < 44*time.Second || took > 47*time.Second {
			t.Errorf("the connection stood for %s", took)
		}
		synctest.Wait()
		if n := r.srv.count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	for _, request := range []string{"GET %s?EIO=4&transport=polling&sid=%s", "POST %s?EIO=4&transport=polling&sid=x%s", "GET %s?EIO=4&transport=polling&t=%s",
		"PUT %s?EIO=4&transport=polling&sid=%s", "POST %s?EIO=4&transport=websocket&sid=%s"} { // bodies that nobody wants
		engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.polls()
			c := r.dial()
			_, _ = fmt.Fprintf(c, request+" HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n\r\n4", Path, p.sid)
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_, _ = io.Copy(io.Discard, c)
			}()
			select {
			case <-gone:
			case <-time.After(47 * time.Second):
				t.Errorf("%s: the connection stands", request)
			}
		})
	}
}

func TestAckIDsAbove53BitsOverPolling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.pollingGuest("a")
		p.say(`4218446744073709551615["leave",{"room":"a"}]`, `429007199254740993["leave",{"room":"a"}]`)
		p.expect(`4318446744073709551615[{"ok":true}]`)
		p.expect(`439007199254740993[{"ok":true}]`)
	})
}
