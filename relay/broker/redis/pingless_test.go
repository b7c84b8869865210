package redis

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

// written is a connection that keeps what is written.
type written struct {
	net.Conn
	bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) { return w.Buffer.Write(p) }
func (w *written) Read(p []byte) (int, error)  { return w.Buffer.Read(p) }

// A PING becomes the script, wherever what is written is cut; all else stays.
func TestPingsAreReplaced(t *testing.T) {
	const leave = "*2\r\n$11\r\nUNSUBSCRIBE\r\n$1\r\na\r\n"
	for _, text := range []string{string(pingCommand), leave + string(pingCommand), leave + string(pingCommand) + string(pingCommand) + leave,
		leave, "*1\r\n$4\r\nQUIT\r\n", "*1\r\n$5\r\nPINGS\r\n" + string(pingCommand)} {
		want := strings.ReplaceAll(text, string(pingCommand), string(pongScript))
		for cut := range len(text) {
			w := &written{}
			c := &pinglessConn{Conn: w}
			for _, part := range []string{text[:cut], text[cut:]} {
				if n, err := c.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if got := w.String(); got != want {
				t.Errorf("%q cut at %d: %q", text, cut, got)
			}
		}
	}
}
