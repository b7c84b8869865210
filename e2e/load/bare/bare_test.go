//go:build linux

package bare

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"setu/e2e/load/crowd"
	"setu/e2e/load/tally"
)

// serve runs the bare limit for a test, and returns where.
func serve(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, int(at.Port())) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		if c, err := net.Dial("tcp", at.String()); err == nil {
			c.Close()
			return at
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Whatever is published reaches every member once, and is acknowledged.
func TestServe(t *testing.T) {
	at := serve(t)
	c, err := crowd.New(crowd.Options{Relays: []netip.AddrPort{at, at}, Clients: 20, Members: 5, Rooms: 8, Publishers: 2, Payload: 70_000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Connect(t.Context(), 20, 8); err != nil {
		t.Fatal(err)
	}
	w, err := c.Run(t.Context(), crowd.Load{Rate: 100, For: 200 * time.Millisecond}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Audit(); f.Any() {
		t.Errorf("%+v: %s", f, c.Why())
	}
	if w.Published == 0 || w.Heard == 0 || w.Own.N() == 0 || w.Across.N() == 0 || w.Ack.N() == 0 {
		t.Errorf("published %d, heard %d, timed %d, %d and %d", w.Published, w.Heard, w.Own.N(), w.Across.N(), w.Ack.N())
	}
	if w, err = c.Run(t.Context(), crowd.Load{Rate: 10_000, UnderWay: 40, PerAck: true, For: 100 * time.Millisecond, Quiet: true}, func() {}); err != nil || w.Acked == 0 {
		t.Error(w.Acked, err)
	}
	if f := c.Audit(); f.Any() {
		t.Errorf("%+v: %s", f, c.Why())
	}
	// Who is cut has no session to come back to here: what was published meanwhile is lost, and is found to be.
	if n := c.Cut(); n != 12 {
		t.Errorf("cut %d", n)
	}
	if err := c.PublishAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Return(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := c.Audit(); f != (tally.Faults{Lost: 8 * 3}) {
		t.Errorf("%+v", f)
	}
}
