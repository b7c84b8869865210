package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// still asserts that a session goes on by polling.
func (p *polls) still() {
	p.t.Helper()
	p.say("4still")
	got := p.get()
	for got.body == "6" { // a GET that an upgrade let go
		got = p.get()
	}
	got.is(p.t, 200, "4still")
}

func TestUpgrade(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		p.say("4one")
		p.get().is(t, 200, "4one")
		waits := p.waiting()
		k := p.probe(r)
		(<-waits).is(t, 200, "6")
		p.say("4two") // waits for the move
		k.text("5", "4three")
		k.expect("4two")
		k.expect("4three")
		k.write(clientFrame(0x82, []byte{1, 2}))
		if f, err := readBinary(k); err != nil || string(f) != "\x01\x02" {
			t.Errorf("%q %v", f, err)
		}
		for range 2 {
			p.get().is(t, 400, refusal)
			p.post("4x").is(t, 400, refusal)
		}
		if h := r.only().handler.(*tape); !slices.Equal(h.heard, []string{"one", "two", "three", "\x01\x02"}) {
			t.Error(h.heard)
		}
		k.text("1")
		if code, _ := k.closed(); code != closeNormal {
			t.Error(code)
		}
		k.eof()
		synctest.Wait()
		p.get().is(t, 400, unknownSID)
		if n := r.srv.count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// readBinary reads one binary frame of fewer than 126 bytes.
func readBinary(k *peer) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(k.r, head[:]); err != nil || head[0] != 0x82 {
		return nil, fmt.Errorf("%x %w", head, err)
	}
	b := make([]byte, head[1])
	_, err := io.ReadFull(k.r, b)
	return b, err
}

// A GET between probe and 5 waits for a moment, and brings what there is.
func TestGETDuringAProbe(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		k := p.probe(r)
		synctest.Wait() // else it may be one that the probe lets go
		start := time.Now()
		p.get().is(t, 200, "6")
		if took := time.Since(start); took != probePause {
			t.Errorf("let go after %s", took)
		}
		waits := p.waiting()
		p.say("4news")
		(<-waits).is(t, 200, "4news")
		waits = p.waiting()
		k.text("5") // a stock client would wait for its GET
		(<-waits).is(t, 400, refusal)
		k.text("4x")
		k.expect("4x")
	})
}

// A GET that waits from before the WebSocket was opened waits on until the probe.
func TestGETBeforeTheProbe(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		waits := p.waiting()
		k := upgradeTo(t, r.dial(), p.sid)
		<-time.After(time.Second)
		select {
		case got := <-waits:
			t.Error("let go before the probe: ", got)
		default:
		}
		k.text("2probe")
		k.expect("3probe")
		(<-waits).is(t, 200, "6")
	})
}

// A second WebSocket is closed, during an upgrade and after it, and changes nothing.
func TestSecondWebSocket(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		k := p.probe(r)
		second := func() {
			t.Helper()
			start := time.Now()
			other := upgradeTo(t, r.dial(), p.sid)
			if code, reason := other.closed(); code != closeProtocol || reason == "" {
				t.Errorf("closed with %d %q", code, reason)
			}
			other.eof()
			if took := time.Since(start); took > 0 {
				t.Error("closed after ", took)
			}
			deaf := upgradeTo(t, r.dial(), p.sid)
			deaf.eof() // answers no close
			if took := time.Since(start); took > flushPause {
				t.Error("closed after ", took)
			}
		}
		second()
		k.text("5")
		synctest.Wait()
		second()
		k.text("4x")
		k.expect("4x")
	})
}

// Whatever goes wrong in an upgrade closes that WebSocket, and the session goes on by polling and may try again.
func TestFailedUpgrades(t *testing.T) {
	probed := clientFrame(0x81, []byte("2probe"))
	tests := []struct {
		name string
		send []byte
		took time.Duration
	}{
		{"another text", clientFrame(0x81, []byte("2prob")), 0},
		{"a longer text", clientFrame(0x81, []byte("2probe2")), 0},
		{"an empty frame", clientFrame(0x81, nil), 0},
		{"a message", clientFrame(0x81, []byte("4x")), 0},
		{"a probe as bytes", clientFrame(0x82, []byte("2probe")), 0},
		{"5 without a probe", clientFrame(0x81, []byte("5")), 0},
		{"a second probe", slices.Concat(probed, probed), 0},
		{"5 as bytes", slices.Concat(probed, clientFrame(0x82, []byte("5"))), 0},
		{"more than 5", slices.Concat(probed, clientFrame(0x81, []byte("5x"))), 0},
		{"a message before 5", slices.Concat(probed, clientFrame(0x81, []byte("4x"))), 0},
		{"a frame too large", slices.Concat(probed, clientFrame(0x81, make([]byte, 3000))), 0},
		{"a frame that is none", slices.Concat(probed, clientFrame(0xF1, []byte("5"))), 0},
		{"a close", slices.Concat(probed, clientFrame(0x88, nil)), 0},
		{"silence", nil, upgradeTimeout},
		{"silence after the probe", probed, upgradeTimeout},
		{"half a probe", probed[:len(probed)/2], upgradeTimeout},
		{"half a header", probed[:1], upgradeTimeout},
		{"a 5 without its end", slices.Concat(probed, clientFrame(0x01, []byte("5"))), upgradeTimeout},
		{"pings for ever", slices.Concat(clientFrame(0x89, nil), probed, clientFrame(0x89, []byte("x"))), upgradeTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.polls()
				s := r.only()
				start := time.Now()
				k := upgradeTo(t, r.dial(), p.sid)
				go func() { _, _ = k.c.Write(tt.send) }()
				k.eof()
				if took := time.Since(start); took < tt.took || took > tt.took+closePause {
					t.Errorf("the WebSocket stood for %s", took)
				}
				synctest.Wait()
				p.still()
				k = p.probe(r)
				k.text("5", "4x")
				k.expect("4x")
				if h := s.handler.(*tape); !slices.Equal(h.heard, []string{"still", "x"}) {
					t.Errorf("heard %q", h.heard)
				}
			}, "MAX_PAYLOAD=2000")
		})
	}
}

// Who opens a WebSocket and reads nothing of it holds neither a goroutine nor a drain.
func TestDeafUpgrades(t *testing.T) {
	request := func(sid string) []byte {
		return fmt.Appendf(nil, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s\r\n", Path, sid, handshakeHeader)
	}
	for name, over := range map[string]func(t *testing.T, r *rig, p *polls){
		"the handshake": func(_ *testing.T, r *rig, p *polls) { _, _ = r.dial().Write(request(p.sid)) },
		"the probe":     func(t *testing.T, r *rig, p *polls) { upgradeTo(t, r.dial(), p.sid).text("2probe") },
	} {
		t.Run(name, func(t *testing.T) {
			engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.polls()
				over(t, r, p)
				<-time.After(2 * flushPause)
				p.still()
				p.probe(r).text("5")
			})
			engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.polls()
				over(t, r, p)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				_, _ = r.srv.Engine.Shutdown(ctx)
				if took := time.Since(start); took > lateGet+flushPause {
					t.Errorf("the drain took %s", took)
				}
			})
		})
	}
	t.Run("of a new session", func(t *testing.T) {
		engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			_, _ = r.dial().Write(request(""))
			synctest.Wait()
			if n := r.srv.count(); n != 1 {
				t.Error(n)
			}
			<-time.After(flushPause)
			synctest.Wait()
			if n := r.srv.count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	})
}

// A drain waits for a WebSocket that is being opened for a session which goes meanwhile.
func TestDrainDuringAHandshake(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		c := r.dial()
		_, _ = fmt.Fprintf(c, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s\r\n", Path, p.sid, handshakeHeader)
		p.say("1")
		p.get().is(t, 200, "6")
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = r.srv.Engine.Shutdown(context.Background())
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

// The heartbeat does not mind by which door its answer comes.
func TestHeartbeatAcrossTheMove(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.polls()
		start := time.Now()
		<-time.After(20 * time.Second)
		p.get().is(t, 200, "2")
		k := p.probe(r)
		k.text("5")
		<-time.After(10 * time.Second)
		k.text("3") // the pong to a poll's ping
		k.expect("2")
		if got := time.Since(start); got != 60*time.Second {
			t.Errorf("the next ping came after %s", got)
		}
		if _, err := readFrame(k.r); err == nil || time.Since(start) != 80*time.Second {
			t.Errorf("ended after %s: %v", time.Since(start), err)
		}
	})
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) { // a ping that no poll fetched moves along
		p := r.polls()
		<-time.After(24 * time.Second)
		k := p.probe(r)
		<-time.After(2 * time.Second)
		k.text("5")
		k.expect("2")
		k.text("3", "4x")
		k.expect("4x")
	})
}

// A session that ends while it moves ends by both doors.
func TestEndDuringAnUpgrade(t *testing.T) {
	tests := map[string]func(r *rig, p *polls){
		"goodbye":   func(_ *rig, p *polls) { p.say("1") },
		"bad body":  func(_ *rig, p *polls) { p.post("x") },
		"overlap":   func(_ *rig, p *polls) { p.waiting(); p.get() },
		"heartbeat": func(_ *rig, p *polls) { <-time.After(3 * time.Second) },
		"too slow":  func(r *rig, _ *polls) { r.only().close(closeSlow, "too slow", true) },
		"drain": func(r *rig, _ *polls) {
			_, _ = r.srv.Engine.Shutdown(context.Background())
		},
	}
	for name, end := range tests {
		for _, step := range []string{"", "2probe"} {
			t.Run(name+" "+step, func(t *testing.T) {
				engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					start := time.Now()
					p := r.polls()
					h := r.only().handler.(*tape)
					k := upgradeTo(t, r.dial(), p.sid)
					if step != "" {
						k.text(step)
						k.expect("3probe")
					}
					synctest.Wait()
					end(r, p)
					k.eof()
					if took := time.Since(start); took > 3*time.Second {
						t.Errorf("the WebSocket stood for %s", took)
					}
					<-time.After(2 * lateGet)
					if n := r.srv.count(); n != 0 || h.stops != 1 || h.closes != 1 {
						t.Errorf("%d sessions are left; stopped %d times, closed %d times", n, h.stops, h.closes)
					}
				}, "PING_INTERVAL=2s", "PING_TIMEOUT=1s")
			})
		}
	}
}

// The end of a session and the end of its upgrade may come at the same time.
func TestEndAtTheMove(t *testing.T) {
	engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		for i := range 200 {
			p := r.polls()
			s := r.only()
			k := p.probe(r)
			over := make(chan struct{})
			go func() {
				defer close(over)
				s.close(closeRestart, "this relay restarts", i%2 == 0)
			}()
			_, _ = k.c.Write(clientFrame(0x81, []byte("5")))
			<-over
			k.eof()
			<-time.After(lateGet + time.Millisecond)
			if h := s.handler.(*tape); r.srv.count() != 0 || h.stops != 1 || h.closes != 1 {
				t.Fatalf("%d sessions are left; stopped %d times, closed %d times", r.srv.count(), h.stops, h.closes)
			}
		}
	})
}

// CVE-2022-41940: a reset in the middle of an upgrade, wherever, leaks nothing and harms nobody.
func TestCVE202241940(t *testing.T) {
	r := engineOverTCP(t, tapes(echo))
	witness := r.polls()
	p := r.polls()
	handshake := fmt.Appendf(nil, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s\r\n", Path, p.sid, handshakeHeader)
	all := slices.Concat(handshake, clientFrame(0x81, []byte("2probe")))
	for n := 1; n <= len(all); n += 3 {
		for _, reads := range []bool{true, false} {
			c := r.dial().(*net.TCPConn)
			_, _ = c.Write(all[:n])
			if reads && n >= len(handshake) {
				_, _ = c.Read(make([]byte, 4096))
			}
			_ = c.SetLinger(0)
			_ = c.Close()
		}
		p.still()
	}
	for i := range 20 { // with a GET waiting, right behind the probe's answer
		waits := later(p.get)
		k := upgradeTo(t, r.dial(), p.sid)
		if i%2 == 0 {
			k.text("2probe")
			if f, err := readFrame(k.r); err == nil && f.op != opText { // the reset before may not have been noticed yet
				_ = k.c.Close()
			}
		}
		_ = k.c.(*net.TCPConn).SetLinger(0)
		_ = k.c.Close()
		p.say("4x")
		for got := <-waits; got.body != "4x"; got = p.get() {
			if got.body != "6" {
				t.Fatal(got)
			}
		}
	}
	var k *peer
	for end := time.Now().Add(10 * time.Second); ; { // until the relay has noticed the last one
		k = upgradeTo(t, r.dial(), p.sid)
		k.text("2probe")
		if f, err := readFrame(k.r); err == nil && string(f.payload) == "3probe" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no upgrade any more")
		}
	}
	k.text("5", "4"+strings.Repeat("x", 100))
	k.packet()
	_ = k.c.(*net.TCPConn).SetLinger(0)
	_ = k.c.Close() // right behind the move
	for end := time.Now().Add(10 * time.Second); r.srv.count() > 1; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the session stays")
		}
	}
	witness.still()
}
