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

// One answer of each kind of RESP3, by its first line: errors within others, and what reads as one in a
// string, are none.
var answersByLine = [][2]string{
	{"+OK", "+OK\r\n"}, {"-BUSY now", "-BUSY now\r\n"}, {":7", ":7\r\n"}, {"_", "_\r\n"}, {"#t", "#t\r\n"}, {",1.5", ",1.5\r\n"}, {"(99", "(99\r\n"},
	{"$10", "$10\r\na\r\n-BUSY\r\n\r\n"}, {"$0", "$0\r\n\r\n"}, {"$-1", "$-1\r\n"}, {"*-1", "*-1\r\n"}, {"=5", "=5\r\ntxt:-\r\n"}, {"!4", "!4\r\n-ERR\r\n"},
	{"*0", "*0\r\n"}, {"*3", "*3\r\n-ERR within\r\n*2\r\n:1\r\n$2\r\n\r\n\r\n%1\r\n+a\r\n~1\r\n_\r\n"}, {"%2", "%2\r\n+a\r\n-b\r\n+c\r\n*0\r\n"},
	{">3", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$7\r\n\n-BUSY\n\r\n"},
}

// Answers are told apart wherever what is read is cut.
func TestAnswersAreFollowed(t *testing.T) {
	text, want := "", ""
	for _, a := range answersByLine {
		text, want = text+a[1], want+a[0]+"\n"
	}
	for cut := range len(text) {
		var a answers
		got := ""
		for _, part := range []string{text[:cut], text[cut:]} {
			if err := a.pass([]byte(part), func(line []byte) error { got += string(line) + "\n"; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Fatalf("cut at %d: %q", cut, got)
		}
	}
	for _, text := range []string{"\r\n", "+" + strings.Repeat("x", maxLine)} {
		if err := new(answers).pass([]byte(text), func([]byte) error { return nil }); err == nil {
			t.Errorf("%.20q was taken", text)
		}
	}
}

// An error ends the connection while a PONG is awaited, and at no other time.
func TestRefusedPings(t *testing.T) {
	for _, row := range []struct {
		pings   int
		answers string
		ends    bool
	}{
		{0, "-ERR no\r\n", false}, {1, "+PONG\r\n-ERR no\r\n", false}, {1, "-NOSCRIPT no\r\n+PONG\r\n", false}, {1, "*1\r\n-ERR within\r\n", false},
		{1, "-BUSY no\r\n", true}, {1, "!4\r\nBUSY\r\n", true}, {2, "+PONG\r\n-MASTERDOWN no\r\n", true},
	} {
		w := &written{}
		c := &pinglessConn{Conn: w}
		for range row.pings {
			_, _ = c.Write(pingCommand)
		}
		w.Reset()
		w.WriteString(row.answers)
		if _, err := c.Read(make([]byte, 100)); (err != nil) != row.ends {
			t.Errorf("%q after %d PINGs: %v", row.answers, row.pings, err)
		}
	}
}

// FuzzAnswers holds that it does not matter to what is found where what is read is cut.
func FuzzAnswers(f *testing.F) {
	for _, a := range answersByLine {
		f.Add([]byte(a[1]), 3)
	}
	f.Add([]byte("$9223372036854775807\r\n%9223372036854775807\r\n+a\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		found := func(parts ...[]byte) (lines string) {
			var a answers
			for _, part := range parts {
				if err := a.pass(part, func(line []byte) error { lines += string(line) + "\n"; return nil }); err != nil {
					return lines + err.Error()
				}
			}
			return lines
		}
		cut = max(0, min(cut, len(text)))
		if whole, parts := found(text), found(text[:cut], text[cut:]); whole != parts {
			t.Errorf("%q, and cut at %d %q", whole, cut, parts)
		}
	})
}

// FuzzPingless holds the same for what is written.
func FuzzPingless(f *testing.F) {
	f.Add([]byte("*2\r\n$4\r\nECHO\r\n$14\r\n*1\r\n$4\r\nPING\r\n\r\n*1\r\n$4\r\nPING\r\n"), 9)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		sent := func(parts ...[]byte) string {
			w := &written{}
			c := &pinglessConn{Conn: w}
			for _, part := range parts {
				if _, err := c.Write(part); err != nil {
					return err.Error()
				}
			}
			return w.String()
		}
		cut = max(0, min(cut, len(text)))
		if whole, parts := sent(text), sent(text[:cut], text[cut:]); whole != parts {
			t.Errorf("%q, and cut at %d %q", whole, cut, parts)
		}
	})
}
