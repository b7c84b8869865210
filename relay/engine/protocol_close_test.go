package engine

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"setu/relay/wiretest"
)

// Who breaks the protocol is told so, and the connection is closed when the client closes it, or has had the time for
// that. What it goes on to send is not looked at, and not all of it is read.
func TestClosesForProtocol(t *testing.T) {
	more := bytes.Repeat(wiretest.ClientFrame(0x81, []byte("4x")), 512)
	for name, test := range map[string]struct {
		then [][]byte
		took time.Duration
	}{
		"a close":              {[][]byte{wiretest.ClientFrame(0x88, []byte{3, 234})}, 0},
		"more, then a close":   {[][]byte{more, wiretest.ClientFrame(0x88, nil)}, 0},
		"half a close":         {[][]byte{wiretest.ClientFrame(0x88, nil)[:3]}, closeTimeout},
		"a close in a message": {[][]byte{wiretest.ClientFrame(0x82, wiretest.ClientFrame(0x88, nil))}, closeTimeout},
		"nothing":              {nil, closeTimeout},
		"a flood":              {slices.Repeat([][]byte{more}, mostAhead/len(more)), shedTimeout},
	} {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.greeted()
			h := r.only().handler.(*tape)
			start := time.Now()
			p.Text("9")
			if f := p.FrameOf(8); len(f.Payload) < 2 || f.Payload[0] != 3 || f.Payload[1] != 234 {
				t.Errorf("%s: closed with %q", name, f.Payload)
			}
			for _, b := range test.then {
				p.Write(b)
			}
			if name == "a flood" { // one write more is not read, and waits for the end
				go func() { _, _ = p.Conn.Write(more); _, _ = p.Conn.Write(more) }()
			}
			p.EOF()
			if took := time.Since(start); took != test.took {
				t.Errorf("%s: ended after %s, not %s", name, took, test.took)
			}
			if len(h.all()) > 0 {
				t.Errorf("%s: heard %.40q", name, h.all())
			}
		})
	}
}
