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

// A PING becomes the script, wherever what is written is cut; all else stays, whatever it reads as, and goes
// out as soon as a command is whole.
func TestPingsAreReplaced(t *testing.T) {
	const ping, leave = "*1\r\n$4\r\nPING\r\n", "*2\r\n$11\r\nUNSUBSCRIBE\r\n$1\r\na\r\n"
	const other = "*3\r\n$4\r\nECHO\r\n$14\r\n" + ping + "\r\n$12\r\n*1\r\n$4\r\nPING\r\n*2\r\n$2\r\n*1\r\n$4\r\nPING\r\n*1\r\n$0\r\n\r\n"
	for _, parts := range [][]string{{ping}, {leave, ping}, {leave, ping, ping, leave}, {leave}, {"*1\r\n$4\r\nQUIT\r\n"},
		{"*1\r\n$5\r\nPINGS\r\n", ping}, {other, ping, other, ping}, {ping, "*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\na*1\r\n"}} {
		text := strings.Join(parts, "")
		for i, part := range parts {
			if part == ping {
				parts[i] = string(pongScript)
			}
		}
		want := strings.Join(parts, "")
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
