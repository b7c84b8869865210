package engine

import (
	"runtime"
	"testing"
	"time"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

// A client that reads nothing is closed, and never has more waiting than the limit.
func TestSlowClient(t *testing.T) {
	r := overTightTCP(t, "OUTBOX_BYTES=65536")
	p := r.greeted()
	s := r.only()
	f := engineio.NewMessage(make([]byte, 5000), false)
	for s.Send(f) {
		s.out.mu.Lock()
		waiting := s.out.bytes
		s.out.mu.Unlock()
		if waiting > 65536 {
			t.Fatalf("%d bytes wait for it", waiting)
		}
	}
	p.EOF()
	if code, reason := endOf(s); code != closeSlow || reason != "too slow" {
		t.Errorf("ended with %d %q", code, reason)
	}
	awaitGone(t, r)
	if !r.log.Has("too slow") {
		t.Error("no log line")
	}
}

// Pongs of a client that reads nothing answer no ping, however many it sends.
func TestPongsWithoutReading(t *testing.T) {
	r := overTightTCP(t, "PING_INTERVAL=200ms", "PING_TIMEOUT=200ms")
	p := r.greeted()
	s := r.only()
	for range 100 { // more than its socket takes, and less than its outbox
		s.Send(engineio.NewMessage(make([]byte, 5000), false))
	}
	pong := wiretest.ClientFrame(0x81, []byte("3"))
	for end := time.Now().Add(time.Minute); r.srv.Count() > 0; <-time.After(20 * time.Millisecond) {
		_, _ = p.Conn.Write(pong)
		if time.Now().After(end) {
			t.Fatal("it is still there")
		}
	}
	if code, reason := endOf(s); code != closeGone || reason != noPong {
		t.Errorf("ended with %d %q", code, reason)
	}
}

// If the connection still has room, a slow client is told why it is closed.
func TestSlowClientIsTold(t *testing.T) {
	r := overTCP(t, tapes(echo))
	p := r.greeted()
	s := r.only()
	if empty := s.out.close(); empty != nil {
		<-empty // a frame under way would keep the last word off the socket
	}
	k := socketOf(s)
	for !k.conn.mu.TryLock() { // until the writer is through with it
		runtime.Gosched()
	}
	k.conn.mu.Unlock()
	s.close(closeSlow, "too slow", true)
	if f := p.NextFrame(); f.Op != wiretest.OpClose || string(f.Payload) != "\x03\xf5too slow" {
		t.Errorf("%x %q", f.Op, f.Payload)
	}
	p.EOF()
}
