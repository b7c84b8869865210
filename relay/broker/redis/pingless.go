package redis

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
)

// The feed has a client of its own, for the sake of one command. rueidis sends a PING behind each
// UNSUBSCRIBE, whose answer tells it how far it is, and panics at an answer that it does not know. A
// Redis that can't persist refuses PING alone of all commands that do not write (MISCONF): so a script
// answers in its place. One that is busy or has lost its primary refuses more than that (BUSY, MASTERDOWN):
// then the connection ends.
//
// What the feed sends and hears holds what clients choose. So a PING counts where a command begins, an
// error where an answer does, and strings are passed over by their lengths.

var (
	pingCommand = []byte("*1\r\n$4\r\nPING\r\n")
	pongScript  = []byte("*3\r\n$4\r\nEVAL\r\n$18\r\nreturn {ok='PONG'}\r\n$1\r\n0\r\n")
)

// pinglessConn is a connection to Redis on which a script says PONG instead of PING, and which ends if Redis
// refuses that, or what came before it. It has one writer, of commands as arrays of bulk strings, and one
// reader, of RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec).
type pinglessConn struct {
	net.Conn
	pongs atomic.Int32 // that are awaited

	// owned by the writer
	rest []byte // of what was written, the beginning of a line, or of what may be a PING
	args int    // of the command under way, how many are to come
	skip int    // bytes to come of an argument that has begun, with its line end

	// owned by the reader
	answers answers
}

// Write implements net.Conn.
func (c *pinglessConn) Write(p []byte) (int, error) {
	in := p
	if len(c.rest) > 0 {
		in = append(c.rest, p...)
	}
	out, rest, err := c.replace(in)
	if err != nil {
		return 0, err
	}
	c.rest = bytes.Clone(rest)
	if len(out) > 0 {
		_, err = c.Conn.Write(out)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// replace returns what goes out of in now, and what waits for more.
func (c *pinglessConn) replace(in []byte) (out, rest []byte, err error) {
	at, copied := 0, 0
	for at < len(in) {
		n, isPing, err := c.next(in[at:])
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			break
		}
		if isPing {
			c.pongs.Add(1)
			out = append(append(out, in[copied:at]...), pongScript...)
			copied = at + n
		}
		at += n
	}
	if copied == 0 {
		return in[:at], in[at:], nil
	}
	return append(out, in[copied:at]...), in[at:], nil
}

// next returns the size of what comes next: a PING, a line that says how much follows, or what has come of
// an argument. It is 0 if that is not whole yet.
func (c *pinglessConn) next(in []byte) (n int, isPing bool, err error) {
	switch {
	case c.skip > 0:
		n = min(c.skip, len(in))
		c.skip -= n
		return n, false, nil
	case c.args == 0 && bytes.HasPrefix(in, pingCommand):
		return len(pingCommand), true, nil
	case c.args == 0 && bytes.HasPrefix(pingCommand, in):
		return 0, false, nil
	}
	line, _, whole := bytes.Cut(in, []byte("\r\n"))
	if !whole {
		return 0, false, nil
	}
	count, err := strconv.ParseUint(string(line[min(1, len(line)):]), 10, 31)
	if err != nil {
		return 0, false, fmt.Errorf("not a command of Redis': %.40q", line)
	}
	if c.args == 0 {
		c.args = int(count)
	} else {
		c.args, c.skip = c.args-1, int(count)+len("\r\n")
	}
	return len(line) + len("\r\n"), false, nil
}

// Read implements net.Conn.
func (c *pinglessConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if refused := c.answers.pass(p[:n], c.judge); refused != nil {
		return 0, refused
	}
	return n, err
}

// judge takes the first line of an answer. While a PONG is awaited, an error may be of what that stands
// behind, except that a script is not known.
func (c *pinglessConn) judge(line []byte) error {
	switch {
	case string(line) == "+PONG":
		c.pongs.Add(-1)
	case c.pongs.Load() > 0 && (line[0] == '-' || line[0] == '!') && !bytes.HasPrefix(line, []byte("-NOSCRIPT")):
		return fmt.Errorf("refused to end subscriptions, or the check for that: %.80q", line)
	}
	return nil
}

// answers follows what Redis sends, to know where answers begin.
type answers struct {
	line  []byte // the beginning of one that is not whole yet
	items int    // of the answer under way, how many are to come
	skip  int    // bytes to come of a string, with its line end
}

// maxLine bounds a line, which holds a length, a number or an error.
const maxLine = 64 << 10

// pass passes over what has come, and calls first with the first line of each answer. It returns first's error.
func (a *answers) pass(p []byte, first func(line []byte) error) error {
	for len(p) > 0 {
		if a.skip > 0 {
			n := min(a.skip, len(p))
			p, a.skip = p[n:], a.skip-n
			continue
		}
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		a.line = append(a.line, line...)
		p = rest
		switch {
		case len(a.line) > maxLine:
			return fmt.Errorf("an answer of Redis' that is no RESP3: a line without an end, %.40q", a.line)
		case !whole:
			return nil
		}
		isFirst := a.items == 0
		if err := a.take(bytes.TrimSuffix(a.line, []byte("\r")), isFirst, first); err != nil {
			return err
		}
		a.line = a.line[:0]
	}
	return nil
}

// take takes a line.
func (a *answers) take(line []byte, isFirst bool, first func(line []byte) error) error {
	if len(line) == 0 {
		return errors.New("an answer of Redis' that is no RESP3: an empty line")
	}
	if !isFirst {
		a.items--
	}
	count, _ := strconv.Atoi(string(line[1:])) // 0: nothing follows, as after those that are no number
	switch line[0] {
	case '$', '=', '!':
		if count >= 0 { // or it is null
			a.skip = count + len("\r\n")
		}
	case '*', '~', '>':
		a.items += max(0, count)
	case '%', '|':
		a.items += 2 * max(0, count)
	}
	if isFirst {
		return first(line)
	}
	return nil
}
