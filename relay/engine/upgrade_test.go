package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"setu/relay/wiretest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// still asserts that a session goes on by polling.
func still(p *wiretest.Poller) {
	p.T.Helper()
	p.Say("4still")
	got := p.Get()
	for got.Body == "6" { // a GET that an upgrade let go
		got = p.Get()
	}
	got.Is(p.T, 200, "4still")
}

func TestUpgrade(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		p.Say("4one")
		p.Get().Is(t, 200, "4one")
		waits := p.Waiting()
		k := r.Probe(p)
		(<-waits).Is(t, 200, "6")
		p.Say("4two") // waits for the upgrade
		k.Text("5", "4three")
		k.Expect("4two")
		k.Expect("4three")
		k.Write(wiretest.ClientFrame(0x82, []byte{1, 2}))
		if f, err := readBinary(k); err != nil || string(f) != "\x01\x02" {
			t.Errorf("%q %v", f, err)
		}
		for range 2 {
			p.Get().Is(t, 400, wiretest.BadRequest)
			p.Post("4x").Is(t, 400, wiretest.BadRequest)
		}
		if h := r.only().handler.(*tape); !slices.Equal(h.all(), []string{"one", "two", "three", "\x01\x02"}) {
			t.Error(h.all())
		}
		k.Text("1")
		if code, _ := k.Closed(); code != closeNormal {
			t.Error(code)
		}
		k.EOF()
		synctest.Wait()
		p.Get().Is(t, 400, wiretest.UnknownSID)
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// readBinary reads one binary frame of fewer than 126 bytes.
func readBinary(k *wiretest.Peer) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(k.Reader, head[:]); err != nil || head[0] != 0x82 {
		return nil, fmt.Errorf("%x %w", head, err)
	}
	b := make([]byte, head[1])
	_, err := io.ReadFull(k.Reader, b)
	return b, err
}

// A GET between probe and 5 waits for a moment, and brings what there is.
func TestGETDuringAProbe(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		k := r.Probe(p)
		synctest.Wait() // else it may be one that the probe lets go
		start := time.Now()
		p.Get().Is(t, 200, "6")
		if took := time.Since(start); took != probePause {
			t.Errorf("let go after %s", took)
		}
		waits := p.Waiting()
		p.Say("4news")
		(<-waits).Is(t, 200, "4news")
		waits = p.Waiting()
		k.Text("5") // a stock client would wait for its GET
		(<-waits).Is(t, 400, wiretest.BadRequest)
		k.Text("4x")
		k.Expect("4x")
	})
}

// A GET that waits from before the WebSocket was opened waits on until the probe.
func TestGETBeforeTheProbe(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		waits := p.Waiting()
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		<-time.After(time.Second)
		select {
		case got := <-waits:
			t.Error("let go before the probe: ", got)
		default:
		}
		k.Text("2probe")
		k.Expect("3probe")
		(<-waits).Is(t, 200, "6")
	})
}

// A second WebSocket is closed, during an upgrade and after it, and changes nothing.
func TestSecondWebSocket(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		k := r.Probe(p)
		second := func() {
			t.Helper()
			start := time.Now()
			other := wiretest.UpgradeTo(t, r.Dial(), p.SID)
			if code, reason := other.Closed(); code != closeProtocol || reason == "" {
				t.Errorf("closed with %d %q", code, reason)
			}
			other.EOF()
			if took := time.Since(start); took > 0 {
				t.Error("closed after ", took)
			}
			deaf := wiretest.UpgradeTo(t, r.Dial(), p.SID)
			deaf.EOF() // answers no close
			if took := time.Since(start); took > flushTimeout {
				t.Error("closed after ", took)
			}
		}
		second()
		k.Text("5")
		synctest.Wait()
		second()
		k.Text("4x")
		k.Expect("4x")
	})
}

// If an upgrade fails, in whatever way, its WebSocket is closed; the session goes on by polling and
// may try again.
func TestFailedUpgrades(t *testing.T) {
	probed := wiretest.ClientFrame(0x81, []byte("2probe"))
	tests := []struct {
		name string
		send []byte
		took time.Duration
	}{
		{"another text", wiretest.ClientFrame(0x81, []byte("2prob")), 0},
		{"a longer text", wiretest.ClientFrame(0x81, []byte("2probe2")), 0},
		{"an empty frame", wiretest.ClientFrame(0x81, nil), 0},
		{"a message", wiretest.ClientFrame(0x81, []byte("4x")), 0},
		{"a probe as bytes", wiretest.ClientFrame(0x82, []byte("2probe")), 0},
		{"5 as bytes, without a probe", wiretest.ClientFrame(0x82, []byte("5")), 0},
		{"more than 5, without a probe", wiretest.ClientFrame(0x81, []byte("5x")), 0},
		{"a second probe", slices.Concat(probed, probed), 0},
		{"5 as bytes", slices.Concat(probed, wiretest.ClientFrame(0x82, []byte("5"))), 0},
		{"more than 5", slices.Concat(probed, wiretest.ClientFrame(0x81, []byte("5x"))), 0},
		{"a message before 5", slices.Concat(probed, wiretest.ClientFrame(0x81, []byte("4x"))), 0},
		{"a frame too large", slices.Concat(probed, wiretest.ClientFrame(0x81, make([]byte, 3000))), 0},
		{"a frame that is none", slices.Concat(probed, wiretest.ClientFrame(0xF1, []byte("5"))), 0},
		{"a close", slices.Concat(probed, wiretest.ClientFrame(0x88, nil)), 0},
		{"silence", nil, upgradeTimeout},
		{"silence after the probe", probed, upgradeTimeout},
		{"half a probe", probed[:len(probed)/2], upgradeTimeout},
		{"half a header", probed[:1], upgradeTimeout},
		{"a 5 without its end", slices.Concat(probed, wiretest.ClientFrame(0x01, []byte("5"))), upgradeTimeout},
		{"pings for ever", slices.Concat(wiretest.ClientFrame(0x89, nil), probed, wiretest.ClientFrame(0x89, []byte("x"))), upgradeTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.Poll()
				s := r.only()
				start := time.Now()
				k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
				go func() { _, _ = k.Conn.Write(tt.send) }()
				k.EOF()
				if took := time.Since(start); took < tt.took || took > tt.took+closeTimeout {
					t.Errorf("the WebSocket stood for %s", took)
				}
				synctest.Wait()
				still(p)
				k = r.Probe(p)
				k.Text("5", "4x")
				k.Expect("4x")
				if h := s.handler.(*tape); !slices.Equal(h.all(), []string{"still", "x"}) {
					t.Errorf("heard %q", h.all())
				}
			}, "MAX_PAYLOAD=2000")
		})
	}
}

// A client that opens a WebSocket and reads nothing of it holds neither a goroutine nor a drain.
func TestDeafUpgrades(t *testing.T) {
	request := func(sid string) []byte {
		return fmt.Appendf(nil, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s\r\n", path, sid, wiretest.HandshakeHeader)
	}
	for name, over := range map[string]func(t *testing.T, r *rig, p *wiretest.Poller){
		"the handshake": func(_ *testing.T, r *rig, p *wiretest.Poller) { _, _ = r.Dial().Write(request(p.SID)) },
		"the probe":     func(t *testing.T, r *rig, p *wiretest.Poller) { wiretest.UpgradeTo(t, r.Dial(), p.SID).Text("2probe") },
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.Poll()
				over(t, r, p)
				<-time.After(2 * flushTimeout)
				still(p)
				r.Probe(p).Text("5")
			})
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.Poll()
				over(t, r, p)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				_, _ = r.srv.Shutdown(ctx)
				if took := time.Since(start); took > lateGetTimeout+flushTimeout {
					t.Errorf("the drain took %s", took)
				}
			})
		})
	}
	t.Run("of a new session", func(t *testing.T) {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			_, _ = r.Dial().Write(request(""))
			synctest.Wait()
			if n := r.srv.Count(); n != 1 {
				t.Error(n)
			}
			<-time.After(flushTimeout)
			synctest.Wait()
			if n := r.srv.Count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	})
}

// A drain waits for a WebSocket that is being opened for a session that ends meanwhile.
func TestDrainDuringAHandshake(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		c := r.Dial()
		_, _ = fmt.Fprintf(c, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s\r\n", path, p.SID, wiretest.HandshakeHeader)
		synctest.Wait() // until it is being answered
		p.Say("1")
		p.Get().Is(t, 200, "6")
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = r.srv.Shutdown(context.Background())
		}()
		synctest.Wait()
		select {
		case <-over:
			t.Error("it did not wait")
		default:
		}
		_, _ = io.Copy(io.Discard, c)
		<-over
	})
}

// A pong counts over either transport.
func TestHeartbeatAcrossAnUpgrade(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		start := time.Now()
		<-time.After(20 * time.Second)
		p.Get().Is(t, 200, "2")
		k := r.Probe(p)
		k.Text("5")
		<-time.After(10 * time.Second)
		k.Text("3") // the pong to a poll's ping
		k.Expect("2")
		pinged := time.Since(start)
		if early := 60*time.Second - pinged; early < 0 || early >= r.srv.cfg.PingInterval/pingSlots {
			t.Errorf("the next ping came after %s", pinged)
		}
		if _, err := wiretest.ReadFrame(k.Reader); err == nil || time.Since(start) != pinged+20*time.Second {
			t.Errorf("ended after %s: %v", time.Since(start), err)
		}
	})
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) { // a ping that no poll fetched goes by the WebSocket
		p := r.Poll()
		<-time.After(24 * time.Second)
		k := r.Probe(p)
		<-time.After(2 * time.Second)
		k.Text("5")
		k.Expect("2")
		k.Text("3", "4x")
		k.Expect("4x")
	})
}

// A session that ends during an upgrade ends over both transports.
func TestEndDuringAnUpgrade(t *testing.T) {
	tests := map[string]func(r *rig, p *wiretest.Poller){
		"goodbye":   func(_ *rig, p *wiretest.Poller) { p.Say("1") },
		"bad body":  func(_ *rig, p *wiretest.Poller) { p.Post("x") },
		"overlap":   func(_ *rig, p *wiretest.Poller) { p.Waiting(); p.Get() },
		"heartbeat": func(_ *rig, p *wiretest.Poller) { <-time.After(3 * time.Second) },
		"too slow":  func(r *rig, _ *wiretest.Poller) { r.only().close(closeSlow, "too slow", true) },
		"drain": func(r *rig, _ *wiretest.Poller) {
			_, _ = r.srv.Shutdown(context.Background())
		},
	}
	for name, end := range tests {
		for _, step := range []string{"", "2probe"} {
			t.Run(name+" "+step, func(t *testing.T) {
				overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					start := time.Now()
					p := r.Poll()
					h := r.only().handler.(*tape)
					k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
					if step != "" {
						k.Text(step)
						k.Expect("3probe")
					}
					synctest.Wait()
					end(r, p)
					k.EOF()
					if took := time.Since(start); took > 3*time.Second {
						t.Errorf("the WebSocket stood for %s", took)
					}
					<-time.After(2 * lateGetTimeout)
					if n := r.srv.Count(); n != 0 || h.stopped() != 1 || h.closed() != 1 {
						t.Errorf("%d sessions are left; stopped %d times, closed %d times", n, h.stopped(), h.closed())
					}
				}, "PING_INTERVAL=2s", "PING_TIMEOUT=1s")
			})
		}
	}
}

// The end of a session and the end of its upgrade may come at the same time.
func TestEndAsAnUpgradeEnds(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		for i := range 200 {
			p := r.Poll()
			s := r.only()
			k := r.Probe(p)
			over := make(chan struct{})
			go func() {
				defer close(over)
				s.close(closeRestart, "this relay restarts", i%2 == 0)
			}()
			_, _ = k.Conn.Write(wiretest.ClientFrame(0x81, []byte("5")))
			<-over
			k.EOF()
			<-time.After(lateGetTimeout + time.Millisecond)
			if h := s.handler.(*tape); r.srv.Count() != 0 || h.stopped() != 1 || h.closed() != 1 {
				t.Fatalf("%d sessions are left; stopped %d times, closed %d times", r.srv.Count(), h.stopped(), h.closed())
			}
		}
	})
}

// CVE-2022-41940: a reset at any point of an upgrade leaks nothing and harms no other client.
func TestCVE202241940(t *testing.T) {
	r := overTCP(t, tapes(echo))
	witness := r.Poll()
	p := r.Poll()
	handshake := fmt.Appendf(nil, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s\r\n", path, p.SID, wiretest.HandshakeHeader)
	all := slices.Concat(handshake, wiretest.ClientFrame(0x81, []byte("2probe")))
	for n := 1; n <= len(all); n += 3 {
		for _, reads := range []bool{true, false} {
			c := r.Dial().(*net.TCPConn)
			_, _ = c.Write(all[:n])
			if reads && n >= len(handshake) {
				_, _ = c.Read(make([]byte, 4096))
			}
			_ = c.SetLinger(0)
			_ = c.Close()
		}
		still(p)
	}
	for i := range 20 { // with a GET waiting, right behind the probe's answer
		waits := wiretest.Later(p.Get)
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		if i%2 == 0 {
			k.Text("2probe")
			// The reset before may not have been noticed yet.
			if f, err := wiretest.ReadFrame(k.Reader); err == nil && f.Op != wiretest.OpText {
				_ = k.Conn.Close()
			}
		}
		_ = k.Conn.(*net.TCPConn).SetLinger(0)
		_ = k.Conn.Close()
		p.Say("4x")
		for got := <-waits; got.Body != "4x"; got = p.Get() {
			if got.Body != "6" {
				t.Fatal(got)
			}
		}
	}
	var k *wiretest.Peer
	for end := time.Now().Add(time.Minute); ; { // until the relay has noticed the last one
		k = wiretest.UpgradeTo(t, r.Dial(), p.SID)
		k.Text("2probe")
		if f, err := wiretest.ReadFrame(k.Reader); err == nil && string(f.Payload) == "3probe" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no upgrade any more")
		}
	}
	k.Text("5", "4"+strings.Repeat("x", 100))
	k.Packet()
	_ = k.Conn.(*net.TCPConn).SetLinger(0)
	_ = k.Conn.Close() // right behind the upgrade
	for end := time.Now().Add(time.Minute); r.srv.Count() > 1; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the session stays")
		}
	}
	still(witness)
}
