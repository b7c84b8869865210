// Package wiretest has clients for tests that speak the wire by hand, so that they can be wrong when they
// want to be, and read it strictly, and a link to Redis that can be broken.
package wiretest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Peer is a client over WebSocket.
type Peer struct {
	T      testing.TB
	Conn   net.Conn
	Reader *bufio.Reader
	Acks   int
	Held   []string // packets read while waiting for an answer

	Extensions string // that the server has agreed to
}

// Frame is one WebSocket frame.
type Frame struct {
	Op      byte
	Fin     bool
	Payload []byte

	Compressed int // bytes of the payload as it came; 0: it was not compressed
}

// Opcodes of frames (RFC 6455, 11.8).
const (
	OpContinue = 0x0
	OpText     = 0x1
	OpBinary   = 0x2
	OpClose    = 0x8
	OpPing     = 0x9
	OpPong     = 0xA
)

// HandshakeHeader are the header lines of a WebSocket handshake.
const HandshakeHeader = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// Upgrade sends a WebSocket handshake, with what is to follow it at once.
func Upgrade(t testing.TB, c net.Conn, follow ...byte) *Peer {
	t.Helper()
	return UpgradeTo(t, c, "", follow...)
}

// UpgradeTo asks for the WebSocket of the session with this id.
func UpgradeTo(t testing.TB, c net.Conn, sid string, follow ...byte) *Peer {
	t.Helper()
	return upgrade(t, c, sid, "", follow)
}

// UpgradeOffering is UpgradeTo by a client that offers extensions (RFC 6455, section 9.1).
func UpgradeOffering(t testing.TB, c net.Conn, sid, offer string) *Peer {
	t.Helper()
	return upgrade(t, c, sid, "Sec-WebSocket-Extensions: "+offer+"\r\n", nil)
}

// UpgradeByProxy is Upgrade by way of a load balancer, as its header says.
func UpgradeByProxy(t testing.TB, c net.Conn) *Peer {
	t.Helper()
	return upgrade(t, c, "", "X-Forwarded-For: 203.0.113.7\r\n", nil)
}

// upgrade sends a handshake with more lines in its header.
func upgrade(t testing.TB, c net.Conn, sid, lines string, follow []byte) *Peer {
	t.Helper()
	p := &Peer{T: t, Conn: c, Reader: bufio.NewReaderSize(c, 16<<10)}
	request := "GET " + path + "?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: relay\r\n" + lines + HandshakeHeader + "\r\n"
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(append([]byte(request), follow...))
		wrote <- err
	}()
	res, err := http.ReadResponse(p.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("upgrade: %s: %s", res.Status, body)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	p.Extensions = res.Header.Get("Sec-WebSocket-Extensions")
	return p
}

// ClientFrame returns a masked frame; first is its first byte.
func ClientFrame(first byte, payload []byte) []byte {
	b := append(make([]byte, 0, 14+len(payload)), first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// Write writes bytes as they are.
func (p *Peer) Write(b []byte) {
	p.T.Helper()
	if _, err := p.Conn.Write(b); err != nil {
		p.T.Fatal(err)
	}
}

// Text sends packets, each in a text frame.
func (p *Peer) Text(packets ...string) {
	p.T.Helper()
	var b []byte
	for _, s := range packets {
		b = append(b, ClientFrame(0x80|OpText, []byte(s))...)
	}
	p.Write(b)
}

// ReadFrame reads one frame as RFC 6455 has a server write it: no mask, no reserved bits, the shortest
// length.
func ReadFrame(r *bufio.Reader) (f Frame, err error) { return readFrame(r, false) }

// readFrame is ReadFrame where frames may be compressed, or not.
func readFrame(r *bufio.Reader, deflates bool) (f Frame, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	compressed := deflates && (head[0] == 0x80|rsv1|OpText || head[0] == 0x80|rsv1|OpBinary)
	if head[0]&0x70 != 0 && !compressed || head[1]&0x80 != 0 {
		return f, fmt.Errorf("bad frame header %x", head)
	}
	f.Op, f.Fin = head[0]&0xF, head[0]&0x80 != 0
	n := uint64(head[1])
	var ext [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(r, ext[6:])
	case 127:
		_, err = io.ReadFull(r, ext[:])
	}
	if err != nil {
		return f, err
	}
	if n >= 126 {
		long := binary.BigEndian.Uint64(ext[:])
		if n == 126 && long < 126 || n == 127 && long < 1<<16 || long > 1<<30 {
			return f, fmt.Errorf("length %d in the wrong form", long)
		}
		n = long
	}
	switch f.Op {
	case OpText, OpBinary:
	case OpClose, OpPing, OpPong:
		if !f.Fin || n > 125 {
			return f, fmt.Errorf("bad control frame %x", head)
		}
	default:
		return f, fmt.Errorf("unexpected opcode %x", f.Op)
	}
	f.Payload = make([]byte, n)
	if _, err = io.ReadFull(r, f.Payload); err == nil && compressed {
		f.Compressed = len(f.Payload)
		f.Payload, err = Inflate(f.Payload)
	}
	return f, err
}

// NextFrame reads a frame.
func (p *Peer) NextFrame() Frame {
	p.T.Helper()
	f, err := readFrame(p.Reader, p.Extensions != "")
	if err != nil {
		p.T.Fatal("reading a frame: ", err)
	}
	return f
}

// FrameOf reads a frame, which must be of a kind.
func (p *Peer) FrameOf(op byte) Frame {
	p.T.Helper()
	f := p.NextFrame()
	if f.Op != op {
		p.T.Fatalf("opcode %x, want %x: %q", f.Op, op, f.Payload)
	}
	return f
}

// FrameUntil reads frames up to one of a kind.
func (p *Peer) FrameUntil(op byte) Frame {
	p.T.Helper()
	for {
		if f := p.NextFrame(); f.Op == op {
			return f
		}
	}
}

// Packet reads the next Engine.IO packet.
func (p *Peer) Packet() string {
	p.T.Helper()
	if len(p.Held) > 0 {
		s := p.Held[0]
		p.Held = p.Held[1:]
		return s
	}
	f := p.NextFrame()
	if f.Op != OpText || !f.Fin {
		p.T.Fatalf("want a text frame, got opcode %x: %q", f.Op, f.Payload)
	}
	return string(f.Payload)
}

// Expect reads the next packet, which must be this.
func (p *Peer) Expect(want string) {
	p.T.Helper()
	if got := p.Packet(); got != want {
		p.T.Fatalf("got %s, want %s", got, want)
	}
}

// Closed reads up to the close frame and answers it.
func (p *Peer) Closed() (code int, reason string) {
	p.T.Helper()
	for {
		f := p.NextFrame()
		if f.Op != OpClose {
			continue
		}
		_, _ = p.Conn.Write(ClientFrame(0x80|OpClose, f.Payload))
		if len(f.Payload) < 2 {
			return 1005, ""
		}
		return int(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
	}
}

// EOF reads until the connection ends, whether or not a close frame comes first.
func (p *Peer) EOF() {
	_, _ = io.Copy(io.Discard, p.Reader)
}

// Welcome is what a welcome says.
type Welcome struct {
	Relay, Region, Epoch string
	User                 struct {
		ID, Name string
		Guest    bool
	}
	Limits map[string]int
}

// Connect reads the handshake and connects to "/".
func (p *Peer) Connect(auth string) (w Welcome, offset string) {
	p.T.Helper()
	if s := p.Packet(); !strings.HasPrefix(s, "0{") {
		p.T.Fatal("no handshake but ", s)
	}
	p.Text("40" + auth)
	if s := p.Packet(); !strings.HasPrefix(s, `40{"sid":"`) {
		p.T.Fatal("no CONNECT but ", s)
	}
	s := p.Packet()
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(strings.TrimPrefix(s, "42")), &args); err != nil || len(args) != 3 {
		p.T.Fatal("no welcome but ", s)
	}
	if string(args[0]) != `"welcome"` || json.Unmarshal(args[1], &w) != nil || json.Unmarshal(args[2], &offset) != nil {
		p.T.Fatal("no welcome but ", s)
	}
	return w, offset
}

// Ask sends a request that wants an ack.
func (p *Peer) Ask(event, arg string) (id string) {
	p.T.Helper()
	p.Acks++
	id = strconv.Itoa(p.Acks)
	p.Text("42" + id + `["` + event + `",` + arg + `]`)
	return id
}

// Call sends a request and waits for its answer.
func (p *Peer) Call(event, arg string) string {
	p.T.Helper()
	return p.Answer(p.Ask(event, arg))
}

// Answer waits for the ack with this id; what comes before is kept.
func (p *Peer) Answer(id string) string {
	p.T.Helper()
	var before []string
	for {
		s := p.Packet()
		if body, ok := strings.CutPrefix(s, "43"+id+"["); ok {
			p.Held = append(before, p.Held...)
			return strings.TrimSuffix(body, "]")
		}
		if s == "2" {
			p.Text("3")
			continue
		}
		before = append(before, s)
	}
}

// Nothing asserts that nothing was sent but the answer to a question that is asked now.
func (p *Peer) Nothing() {
	p.T.Helper()
	p.Call("ping", "{}")
	if len(p.Held) > 0 {
		p.T.Fatal("unexpected: ", p.Held)
	}
}

// Field reads one member of a JSON object as its text.
func Field(t testing.TB, object, name string) string {
	t.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		t.Fatal(err, object)
	}
	return string(o[name])
}
