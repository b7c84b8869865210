//go:build linux

package engine

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"setu/relay/wiretest"
)

// Clients that say nothing take no goroutine; each is heard when it says something, in one piece or byte by
// byte, and sent away all the same.
func TestIdleClientsTakeNoGoroutine(t *testing.T) {
	r := overTCP(t, tapes(echo))
	before := runtime.NumGoroutine()
	var all []*wiretest.Peer
	for range 200 {
		all = append(all, r.greeted())
	}
	hear := func(p *wiretest.Peer, text string) {
		t.Helper()
		if got := p.Packet(); got != text {
			t.Errorf("%q instead of %q", got, text)
		}
	}
	for i, p := range all {
		text := fmt.Sprint("4hello ", i)
		frame := wiretest.ClientFrame(0x81, []byte(text))
		if i%2 == 0 {
			p.Write(frame)
		} else {
			for _, b := range frame {
				p.Write([]byte{b})
			}
		}
		hear(p, text)
	}
	for n := runtime.NumGoroutine(); n > before+len(all)/2; n = runtime.NumGoroutine() {
		runtime.Gosched() // the last ones are on their way; else the test ends by its time
	}
	for i, p := range all[:100] { // these are gone before the server closes the others
		if i%2 == 0 {
			p.Text("1")
		}
		_ = p.Conn.Close()
	}
	for r.srv.Count() > 100 {
		runtime.Gosched()
	}
	r.close()
	for _, p := range all[100:] {
		if code, _ := p.Closed(); code != closeRestart {
			t.Error(code)
		}
	}
}

// Several messages that came in one read are all taken, and so is what is left of them in the kernel.
func TestBurstsAreTaken(t *testing.T) {
	r := overTCP(t, tapes(echo))
	p := r.greeted()
	g := rand.New(rand.NewPCG(1, 2))
	var burst []byte
	var want []string
	for i := range 2000 {
		text := string(filler(i, g.IntN(40)+g.IntN(2)*g.IntN(6000)))
		burst = append(burst, wiretest.ClientFrame(0x81, []byte(text))...)
		want = append(want, text)
	}
	go p.Write(burst)
	for i, text := range want {
		if got := p.Packet(); got != text {
			t.Fatalf("%d: %.40q instead of %.40q", i, got, text)
		}
	}
}

// A connection that is closed here while its client rests ends the session, whenever that is.
func TestCloseRousesWhoRests(t *testing.T) {
	r := overTCP(t, tapes(echo))
	for i := range 200 {
		p := r.greeted()
		s := r.only()
		socket := socketOf(s)
		if i%2 == 0 {
			p.Text("4x")
		}
		for range i * 7 % 50 {
			runtime.Gosched()
		}
		if i%3 == 0 {
			s.close(closeGone, noPong, true)
		} else {
			socket.breakConn()
		}
		for deadline := time.Now().Add(time.Minute); r.srv.Count() > 0; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal(i, ": it stays")
			}
		}
		_ = p.Conn.Close()
	}
}

// BenchmarkEchoes is what it takes to rouse a client, to take what it says, and to answer.
func BenchmarkEchoes(b *testing.B) {
	r := overTCP(b, tapes(echo))
	p := r.greeted()
	frame := wiretest.ClientFrame(0x81, []byte("4hello"))
	b.ReportAllocs()
	for b.Loop() {
		p.Write(frame)
		if f := p.FrameOf(wiretest.OpText); len(f.Payload) != 6 {
			b.Fatal(f)
		}
	}
}
