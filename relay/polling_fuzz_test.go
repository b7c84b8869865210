package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"setu/relay/wiretest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fuzzed is a client of which a fuzzer decides what it does next, right or wrong, with its session
// and others'.
type fuzzed struct {
	// immutable after play makes it
	t    *testing.T
	r    *rig
	p    *wiretest.Poller
	raw  []byte
	turn chan struct{} // holds one: the turn to write to ws

	work sync.WaitGroup

	mu sync.Mutex

	// guarded by mu
	ws    net.Conn   // the WebSocket opened last
	conns []net.Conn // all connections, for the end
}

// keep notes a connection, to be closed at the end.
func (m *fuzzed) keep(c net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, c)
}

func (m *fuzzed) socket() net.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ws
}

// frames writes to the WebSocket opened last.
func (m *fuzzed) frames(b ...byte) {
	m.turn <- struct{}{} // a pipe has writers wait by a mutex, which a bubble's clock does not see
	defer func() { <-m.turn }()
	if c := m.socket(); c != nil {
		_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
		_, _ = c.Write(b)
	}
}

func (m *fuzzed) text(s string) { m.frames(wiretest.ClientFrame(0x81, []byte(s))...) }

// open opens a WebSocket for the session.
func (m *fuzzed) open(follow ...byte) {
	c := m.r.New()
	m.keep(c)
	_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
	request := "GET " + Path + "?EIO=4&transport=websocket&sid=" + m.p.SID + " HTTP/1.1\r\nHost: relay\r\n" + wiretest.HandshakeHeader + "\r\n"
	m.work.Go(func() { _, _ = io.Copy(io.Discard, c) })
	_, _ = c.Write(append([]byte(request), follow...))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ws = c
}

// broken sends the first bytes of a request and hangs up.
func (m *fuzzed) broken(request string, n int) {
	c := m.r.New()
	m.keep(c)
	m.work.Go(func() { _, _ = io.Copy(io.Discard, c) })
	_, _ = io.WriteString(c, request[:n%(len(request)+1)])
	if n%2 == 0 {
		<-time.After(time.Millisecond)
	}
	_ = c.Close()
}

func (m *fuzzed) request(method, body string) string {
	return fmt.Sprintf("%s %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\nContent-Length: %d\r\n\r\n%s", method, Path, m.p.SID, len(body), body)
}

// byPolling is what a client may do by polling.
var byPolling = []func(m *fuzzed, n int){
	func(m *fuzzed, _ int) { m.p.Get() },
	func(m *fuzzed, _ int) { m.p.Get() },
	func(m *fuzzed, _ int) { m.p.Post("40") },
	func(m *fuzzed, _ int) { m.p.Post("3") },
	func(m *fuzzed, n int) { m.p.Post(fmt.Sprintf(`42%d["join",{"room":"r%d","presence":true}]`, n, n%3)) },
	func(m *fuzzed, n int) {
		m.p.Post(fmt.Sprintf("42%d[\"publish\",{\"room\":\"r%d\",\"data\":1}]\x1e3\x1e42[\"signal\",{\"room\":\"r0\"}]", n, n%3))
	},
	func(m *fuzzed, n int) { m.p.Post(fmt.Sprintf("45%d-[\"a\"]\x1ebAQI=", n%4)) },
	func(m *fuzzed, _ int) { m.p.Post("bAQI=") },
	func(m *fuzzed, _ int) { m.p.Post(string(m.raw)) },
	func(m *fuzzed, _ int) { m.p.Post("4" + strings.Repeat("x", 1200)) },
	func(m *fuzzed, _ int) { m.p.Post("3", "Content-Type", "application/octet-stream") },
	func(m *fuzzed, _ int) { m.p.Post("41") },
	func(m *fuzzed, _ int) { m.p.Post("1") },
	func(m *fuzzed, _ int) { m.p.Send(context.Background(), "PUT", "", nil) },
	func(m *fuzzed, n int) { m.broken(m.request("GET", ""), n*7) },
	func(m *fuzzed, n int) { m.broken(m.request("POST", `42["join",{"room":"r0"}]`), n*7) },
	func(m *fuzzed, n int) { // a GET that the client aborts
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*time.Second)
		defer cancel()
		m.p.Send(ctx, "GET", "", nil)
	},
	func(m *fuzzed, _ int) { // a body that does not come
		c := m.r.New()
		m.keep(c)
		m.work.Go(func() { _, _ = io.Copy(io.Discard, c) })
		b := m.request("POST", "3\x1e3")
		_, _ = io.WriteString(c, b[:len(b)-1])
	},
	func(_ *fuzzed, n int) { <-time.After(time.Duration(n) * 100 * time.Millisecond) },
	func(_ *fuzzed, n int) { <-time.After(time.Duration(n) * time.Millisecond) },
}

// byWebSocket is what a client may do by WebSocket.
var byWebSocket = []func(m *fuzzed, n int){
	func(m *fuzzed, _ int) { m.open() },
	func(m *fuzzed, _ int) { m.open(wiretest.ClientFrame(0x81, []byte("2probe"))...) },
	func(m *fuzzed, _ int) {
		m.open(append(wiretest.ClientFrame(0x81, []byte("2probe")), wiretest.ClientFrame(0x81, []byte("5"))...)...)
	},
	func(m *fuzzed, _ int) { m.text("2probe") },
	func(m *fuzzed, _ int) { m.text("5") },
	func(m *fuzzed, _ int) { m.text("5") },
	func(m *fuzzed, _ int) { m.text("40") },
	func(m *fuzzed, _ int) { m.text("3") },
	func(m *fuzzed, n int) { m.text(fmt.Sprintf(`42%d["join",{"room":"r%d"}]`, n, n%3)) },
	func(m *fuzzed, n int) { m.text(fmt.Sprintf(`42%d["publish",{"room":"r%d","data":1}]`, n, n%3)) },
	func(m *fuzzed, _ int) { m.text(string(m.raw)) },
	func(m *fuzzed, _ int) { m.frames(m.raw...) },
	func(m *fuzzed, _ int) { m.frames(wiretest.ClientFrame(0x82, m.raw)...) },
	func(m *fuzzed, _ int) { m.frames(wiretest.ClientFrame(0x81, []byte("2probe"))[:4]...) },
	func(m *fuzzed, _ int) { m.frames(wiretest.ClientFrame(0x89, []byte("ping"))...) },
	func(m *fuzzed, _ int) { m.text("1") },
	func(m *fuzzed, _ int) { m.text("2") },
	func(m *fuzzed, _ int) { m.frames(wiretest.ClientFrame(0x88, nil)...) },
	func(m *fuzzed, _ int) {
		if c := m.socket(); c != nil {
			_ = c.Close()
		}
	},
	func(m *fuzzed, n int) {
		m.broken("GET "+Path+"?EIO=4&transport=websocket&sid="+m.p.SID+" HTTP/1.1\r\nHost: relay\r\n"+wiretest.HandshakeHeader+"\r\n", n*11)
	},
}

// play does what script says: of two bytes the first chooses what to do, the second says how, and
// whether to wait for it. Whatever that is, the relay serves the other clients, and once this one
// is silent nothing of it stays.
func play(t *testing.T, all []func(m *fuzzed, n int), script, raw []byte) {
	overPipes(t, func(t *testing.T, r *rig) {
		witness := r.guest("witness")
		m := &fuzzed{t: t, r: r, p: r.Poll(), raw: raw, turn: make(chan struct{}, 1)}
		deadline := time.Now().Add(20 * time.Second) // the witness answers no ping
		for i := 0; i+1 < min(len(script), 120) && time.Now().Before(deadline); i += 2 {
			does, n := all[int(script[i])%len(all)], int(script[i+1]>>1)
			done := make(chan struct{})
			m.work.Go(func() {
				defer close(done)
				does(m, n)
			})
			if script[i+1]&1 == 0 { // a GET may wait for long
				select {
				case <-done:
				case <-time.After(time.Millisecond):
				}
			}
		}
		if time.Now().Before(deadline.Add(4 * time.Second)) {
			witness.Nothing()
		}
		cfg := r.cfg
		<-time.After(cfg.PingInterval + cfg.PingTimeout + cfg.ConnectTimeout)
		for _, c := range m.conns {
			_ = c.Close()
		}
		m.work.Wait()
		<-time.After(cfg.PingInterval + cfg.PingTimeout + flushTimeout + closeTimeout + lateGetTimeout)
		synctest.Wait()
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		r.guest("another").Nothing()
	}, "MAX_PAYLOAD=1000", "OUTBOX_BYTES=65536")
}

// FuzzPolling lets a client do anything by long polling, in the order that the fuzzer picks, one
// after the other or at once.
func FuzzPolling(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 4, 2, 0, 0, 5, 4, 0, 0, 0, 1, 0, 1}, []byte("4\x1e4"))
	f.Add([]byte{2, 1, 0, 1, 4, 3, 0, 1, 5, 5, 0, 1, 16, 3, 12, 0, 0, 0}, []byte("abc"))
	f.Add([]byte{0, 1, 14, 40, 15, 60, 17, 1, 3, 0, 18, 255, 0, 0}, []byte("b!"))
	f.Add([]byte{2, 0, 6, 2, 6, 4, 7, 0, 11, 0, 9, 0, 10, 0, 13, 0}, []byte("2"))
	f.Fuzz(func(t *testing.T, script, raw []byte) { play(t, byPolling, script, raw) })
}

// FuzzUpgrade lets a client upgrade, too, or begin to.
func FuzzUpgrade(f *testing.F) {
	both := append(append([]func(m *fuzzed, n int){}, byPolling...), byWebSocket...)
	n := byte(len(byPolling))
	f.Add([]byte{2, 0, 0, 1, n + 1, 0, n + 4, 0, n + 8, 0, n + 9, 0}, []byte("x"))
	f.Add([]byte{2, 0, n, 0, n + 3, 0, 0, 0, n + 4, 0, n, 0, 0, 0, n + 15, 0}, []byte("x"))
	f.Add([]byte{n + 2, 0, n + 4, 1, 12, 1, 0, 1, n + 18, 1}, []byte("4"))
	f.Add([]byte{n + 1, 1, n + 1, 1, n + 4, 1, n + 5, 1, 0, 1, 0, 1}, []byte{0x81})
	f.Add([]byte{n, 0, n + 13, 0, n + 18, 0, n + 19, 8, n + 1, 0, 18, 250, n + 4, 0}, []byte("2probe"))
	f.Fuzz(func(t *testing.T, script, raw []byte) { play(t, both, script, raw) })
}
