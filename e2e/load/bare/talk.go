//go:build linux

package bare

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"

	"setu/e2e/load/wire"
)

// input takes what has come, and reports whether the connection goes on.
func (s *Server) input(c *conn, b []byte) bool {
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	if !c.upgraded {
		head, rest, whole := bytes.Cut(b, []byte("\r\n\r\n"))
		if !whole {
			c.in = append(c.in[:0], b...)
			return len(b) < 8<<10
		}
		s.upgrade(c, head)
		b = rest
	}
	for {
		f, rest, ok := wire.Next(b)
		if !ok {
			break
		}
		b = rest
		wire.Unmask(f.Payload, f.Mask)
		if f.Op == wire.Close {
			return false
		}
		s.packet(c, f.Payload)
	}
	if c.in = append(c.in[:0], b...); len(c.in) == 0 {
		c.in = nil
	}
	return true
}

var keyHeader = []byte("sec-websocket-key:")

// upgrade answers the handshake, and opens Engine.IO.
func (s *Server) upgrade(c *conn, head []byte) {
	key := ""
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(keyHeader) && bytes.EqualFold(line[:len(keyHeader)], keyHeader) {
			key = string(bytes.TrimSpace(line[len(keyHeader):]))
		}
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	c.upgraded = true
	s.send(c, wire.AppendServer([]byte(answer), wire.Text, []byte(`0{"sid":"bare"}`)))
}

var (
	connect  = []byte("40")
	join     = []byte(`["join",{"room":"`)
	publish  = []byte(`["publish",{"room":"`)
	dataName = []byte(`","data":`)
)

// packet acts on a packet: a CONNECT, a join or a publish, and nothing else.
func (s *Server) packet(c *conn, p []byte) {
	if bytes.HasPrefix(p, connect) {
		s.send(c, wire.AppendServer(nil, wire.Text, []byte(`40{"sid":"bare"}`)))
		return
	}
	start := bytes.IndexByte(p, '[')
	if start < 2 {
		return
	}
	id, event := p[2:start], p[start:]
	switch {
	case bytes.HasPrefix(event, join):
		name, _, _ := bytes.Cut(event[len(join):], []byte(`"`))
		c.room = append(c.room, string(name))
		s.rooms[string(name)] = append(s.rooms[string(name)], c)
	case bytes.HasPrefix(event, publish):
		name, data, _ := bytes.Cut(event[len(publish):], dataName)
		s.deliver(string(name), bytes.TrimSuffix(data, []byte("}]")))
	default:
		return
	}
	s.frame = append(append(append(s.frame[:0], "43"...), id...), `[{"ok":true}]`...)
	s.send(c, wire.AppendServer(nil, wire.Text, s.frame))
}

// deliver sends data to a room's members, in a frame that is made once.
func (s *Server) deliver(room string, data []byte) {
	event := append(append([]byte(`42["message",`), data...), ']')
	s.frame = wire.AppendServer(s.frame[:0], wire.Text, event)
	for _, c := range s.rooms[room] {
		s.send(c, s.frame)
	}
}
