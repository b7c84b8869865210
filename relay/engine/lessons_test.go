package engine

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
	"setu/relay/wiretest"
)

// The tests below hold for what has broken other servers, if no other test shows it: see
// protocol.md.

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

// CVE-2020-28481: a page of another site is refused over every transport, even with a session's id.
func TestCVE202028481(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		k := wiretest.Upgrade(t, r.Dial())
		h, err := engineio.ParseHandshake([]byte(k.Packet()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		evil := http.Header{"Origin": {"https://evil.example"}}
		up := http.Header{"Origin": {"https://evil.example"}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
		for _, sid := range []string{"", "&sid=" + p.SID, "&sid=" + h.SID, "&sid=unknown"} {
			for _, method := range []string{"GET", "POST", "OPTIONS", "PUT"} {
				for _, ask := range []struct {
					transport string
					header    http.Header
				}{{"polling", evil}, {"websocket", up}, {"neither", evil}} {
					if status, body := r.Request(method, path+"?EIO=4&transport="+ask.transport+sid, ask.header); status != 403 || body != `{"code":4,"message":"Forbidden"}` {
						t.Error(method, ask.transport, sid, status, body)
					}
				}
			}
		}
		if n := r.srv.Count(); n != 2 {
			t.Errorf("%d sessions", n)
		}
		still(p)
		k.Text("4x")
		k.Expect("4x")
	})
}

// CVE-2023-31125: no parameter of a polling request reaches a name that does not exist.
func TestCVE202331125(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		sid := "&sid=" + p.SID
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
			"EIO=4&transport=polling" + "&sid=" + strings.ToUpper(p.SID): 1,
		}
		for query, code := range tests {
			for _, method := range []string{"GET", "POST"} {
				if status, body := r.Request(method, path+"?"+query, nil); status != 400 || wiretest.ErrorOf(t, body) != code {
					t.Error(method, query, status, body)
				}
			}
		}
		if n := r.srv.Count(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		still(p)
	})
}

// CVE-2024-37890: headers are bounded on a request that has a session, too.
func TestCVE202437890(t *testing.T) {
	r := overTCP(t, tapes(echo))
	p := r.Poll()
	for name, h := range map[string]http.Header{"large": {"Cookie": {strings.Repeat("c", 32<<10)}}, "many": {"Cookie": strings.Split(strings.Repeat("c=d ", 4000), " ")}} {
		if status, _ := r.Request("GET", path+"?EIO=4&transport=polling&sid="+p.SID, h); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Error(name, status)
		}
	}
	still(p)
}

// CVE-2026-45736: no message holds bytes of another, whichever transports it came and went by,
// however long a handler keeps it.
func TestCVE202645736(t *testing.T) {
	type kept struct {
		data []byte
		want string
	}
	var mu sync.Mutex
	var all []kept
	r := overTCP(t, tapes(func(s *Session, data []byte, binary bool) error {
		mu.Lock()
		all = append(all, kept{data, string(data)})
		mu.Unlock()
		return echo(s, data, binary)
	}))
	var clients sync.WaitGroup
	for c := range 4 {
		p, k := r.Poll(), r.Open()
		k.Packet()
		clients.Go(func() {
			for i := range 40 {
				n := []int{1, 60_000, 10, 3000}[(c+i)%4] // a short one behind a long one
				text := filler(c*1000+i, n)
				body := string(text)
				if i%2 == 0 {
					body = string(engineio.NewMessage(text, true).AppendPayload(nil))
				}
				if got := p.Post(body); got.Body != "ok" {
					t.Error(got)
				}
				if got := p.Get(); got.Body != body {
					t.Errorf("%d bytes came back as %d %.60q", len(body), len(got.Body), got.Body)
				}
				if _, err := k.Conn.Write(wiretest.ClientFrame(0x81, text)); err != nil {
					t.Error(err)
				}
				if f, err := wiretest.ReadFrame(k.Reader); err != nil || !bytes.Equal(f.Payload, text) {
					t.Errorf("%d bytes came back as %d %.60q", n, len(f.Payload), f.Payload)
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

// A flood of separators is a flood of packets: the first empty one ends it, and none of it takes
// memory.
func TestFloodOfSeparators(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		for _, body := range []string{strings.Repeat("\x1e", 1_000_000), "4x\x1e" + strings.Repeat("\x1e", 999_997)} {
			p := r.Poll()
			p.Post(body).Is(t, 400, wiretest.BadRequest)
			p.Get().Is(t, 400, wiretest.UnknownSID)
		}
		p := r.Poll()
		p.Say(strings.Repeat("3\x1e", 499_999) + "3") // pongs: nothing to do, and no harm
		still(p)
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
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		c := r.Dial()
		_, _ = fmt.Fprintf(c, "POST %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n\r\n", path, p.SID)
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
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	for _, request := range []string{"GET %s?EIO=4&transport=polling&sid=%s", "POST %s?EIO=4&transport=polling&sid=x%s", "GET %s?EIO=4&transport=polling&t=%s",
		"PUT %s?EIO=4&transport=polling&sid=%s", "POST %s?EIO=4&transport=websocket&sid=%s"} { // bodies that nobody wants
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.Poll()
			c := r.Dial()
			_, _ = fmt.Fprintf(c, request+" HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n\r\n4", path, p.SID)
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
