package relay

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

// peer is a client that speaks the wire by hand, so that it can be wrong where it wants to be, and reads it strictly.
type peer struct {
	t    testing.TB
	c    net.Conn
	r    *bufio.Reader
	acks int
	held []string // packets read while waiting for an answer
}

// frame is one WebSocket frame.
type frame struct {
	op      byte
	fin     bool
	payload []byte
}

const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xA
)

const handshakeHeader = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// upgrade sends a WebSocket handshake, with what is to follow it at once.
func upgrade(t testing.TB, c net.Conn, follow ...byte) *peer {
	t.Helper()
	return upgradeTo(t, c, "", follow...)
}

// upgradeTo asks for the WebSocket of the session with this id.
func upgradeTo(t testing.TB, c net.Conn, sid string, follow ...byte) *peer {
	t.Helper()
	p := &peer{t: t, c: c, r: bufio.NewReaderSize(c, 16<<10)}
	request := "GET " + Path + "?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: relay\r\n" + handshakeHeader + "\r\n"
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(append([]byte(request), follow...))
		wrote <- err
	}()
	res, err := http.ReadResponse(p.r, nil)
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
	return p
}

// clientFrame is a masked frame; first is its first byte.
func clientFrame(first byte, payload []byte) []byte {
	b := []byte{first}
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

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.c.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) text(packets ...string) {
	p.t.Helper()
	var b []byte
	for _, s := range packets {
		b = append(b, clientFrame(0x80|opText, []byte(s))...)
	}
	p.write(b)
}

// readFrame reads one frame as RFC 6455 has a server write it: no mask, no reserved bits, the shortest length.
func readFrame(r *bufio.Reader) (f frame, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	if head[0]&0x70 != 0 || head[1]&0x80 != 0 {
		return f, fmt.Errorf("bad frame header %x", head)
	}
	f.op, f.fin = head[0]&0xF, head[0]&0x80 != 0
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
	switch f.op {
	case opText, opBinary:
	case opClose, opPing, opPong:
		if !f.fin || n > 125 {
			return f, fmt.Errorf("bad control frame %x", head)
		}
	default:
		return f, fmt.Errorf("unexpected opcode %x", f.op)
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

func (p *peer) frame() frame {
	p.t.Helper()
	f, err := readFrame(p.r)
	if err != nil {
		p.t.Fatal("reading a frame: ", err)
	}
	return f
}

// packet reads the next Engine.IO packet.
func (p *peer) packet() string {
	p.t.Helper()
	if len(p.held) > 0 {
		s := p.held[0]
		p.held = p.held[1:]
		return s
	}
	f := p.frame()
	if f.op != opText || !f.fin {
		p.t.Fatalf("want a text frame, got opcode %x: %q", f.op, f.payload)
	}
	return string(f.payload)
}

func (p *peer) expect(want string) {
	p.t.Helper()
	if got := p.packet(); got != want {
		p.t.Fatalf("got %s, want %s", got, want)
	}
}

// closed reads up to the close frame and answers it.
func (p *peer) closed() (code int, reason string) {
	p.t.Helper()
	for {
		f := p.frame()
		if f.op != opClose {
			continue
		}
		_, _ = p.c.Write(clientFrame(0x80|opClose, f.payload))
		if len(f.payload) < 2 {
			return 1005, ""
		}
		return int(binary.BigEndian.Uint16(f.payload)), string(f.payload[2:])
	}
}

// eof reads until the connection ends, whether or not a close frame comes first.
func (p *peer) eof() {
	_, _ = io.Copy(io.Discard, p.r)
}

type welcome struct {
	Relay, Region, Epoch string
	User                 struct {
		ID, Name string
		Guest    bool
	}
	Limits map[string]int
}

// connect reads the handshake and connects to "/".
func (p *peer) connect(auth string) (w welcome, offset string) {
	p.t.Helper()
	if s := p.packet(); !strings.HasPrefix(s, "0{") {
		p.t.Fatal("no handshake but ", s)
	}
	p.text("40" + auth)
	if s := p.packet(); !strings.HasPrefix(s, `40{"sid":"`) {
		p.t.Fatal("no CONNECT but ", s)
	}
	s := p.packet()
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(strings.TrimPrefix(s, "42")), &args); err != nil || len(args) != 3 {
		p.t.Fatal("no welcome but ", s)
	}
	if string(args[0]) != `"welcome"` || json.Unmarshal(args[1], &w) != nil || json.Unmarshal(args[2], &offset) != nil {
		p.t.Fatal("no welcome but ", s)
	}
	return w, offset
}

// ask sends a request that wants an ack, and call waits for it, too.
func (p *peer) ask(event, arg string) (id string) {
	p.t.Helper()
	p.acks++
	id = strconv.Itoa(p.acks)
	p.text("42" + id + `["` + event + `",` + arg + `]`)
	return id
}

func (p *peer) call(event, arg string) string {
	p.t.Helper()
	return p.answer(p.ask(event, arg))
}

// answer waits for the ack with this id; what comes before is kept.
func (p *peer) answer(id string) string {
	p.t.Helper()
	var before []string
	for {
		s := p.packet()
		if body, ok := strings.CutPrefix(s, "43"+id+"["); ok {
			p.held = append(before, p.held...)
			return strings.TrimSuffix(body, "]")
		}
		if s == "2" {
			p.text("3")
			continue
		}
		before = append(before, s)
	}
}

// nothing asserts that nothing was sent but the answer to a question asked now.
func (p *peer) nothing() {
	p.t.Helper()
	p.call("ping", "{}")
	if len(p.held) > 0 {
		p.t.Fatal("unexpected: ", p.held)
	}
}

// field reads one member of a JSON object as its text.
func field(t testing.TB, object, name string) string {
	t.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		t.Fatal(err, object)
	}
	return string(o[name])
}
