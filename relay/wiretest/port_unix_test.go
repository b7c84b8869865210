//go:build unix

package wiretest

import (
	"net"
	"testing"
)

// Whoever asks for the port gets it, again and again; nobody else does.
func TestHoldPort(t *testing.T) {
	held, release, err := HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l, err := net.Listen("tcp", held)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", held)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		_ = l.Close()
	}
	var all []net.Listener
	for range 2000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			break // all are taken
		}
		if l.Addr().String() == held {
			t.Error("given to another")
		}
		all = append(all, l)
	}
	for _, l := range all {
		_ = l.Close()
	}
	release()
}
