// Package swarm is clients by the thousand in one process of a test: each is a connection and a
// buffer, speaks WebSocket and the protocol by hand, and does nothing by itself but answer pings.
//
//	c, err := swarm.Dial(relay.Address(), swarm.Auth{Name: "asha", Key: "..."})
//	joined, err := c.Join("lobby")
//	for packet, err := c.Next(); err == nil; packet, err = c.Next() { ... }
package swarm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"setu/relay/wiretest"
)

const (
	dialTimeout = 20 * time.Second // from the dial to the welcome, as stock clients have it
	readBuffer  = 4 << 10          // bytes of each client's
	maxFrame    = 64 << 20         // bytes: a relay that sends more is broken
)

// Auth is what a CONNECT says. With PID and Offset the client wants to go on with its session.
type Auth struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	PID    string `json:"pid,omitempty"`
	Offset string `json:"offset,omitempty"`
}

// Options are what a client's connection is like. The zero value is an ordinary one.
type Options struct {
	ReceiveBuffer int    // bytes that the kernel takes in for it; 0: its own choice
	From          net.IP // address that it connects from; nil: the kernel's choice
}

// Client is one connection. One goroutine may read while others write.
type Client struct {
	// Immutable after Dial.
	conn    net.Conn
	Session string // Socket.IO's id: the same again if the session was recovered
	PID     string

	// Owned by the reader.
	in       *bufio.Reader
	frame    []byte
	Offset   string  // the last that it was given
	Replayed []Heard // messages that came before the CONNECT was answered

	writing sync.Mutex
}

// Heard is a message's place.
type Heard struct {
	Room string
	Seq  uint64
}

// Refused is a handshake that was answered by a status other than 101.
type Refused int

func (r Refused) Error() string { return fmt.Sprintf("refused with status %d", int(r)) }

// Dial connects, and waits for the relay's welcome.
func Dial(address string, auth Auth, o Options) (*Client, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	if o.From != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: o.From}
	}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, in: bufio.NewReaderSize(conn, readBuffer)}
	if tcp, ok := conn.(*net.TCPConn); ok && o.ReceiveBuffer > 0 {
		err = tcp.SetReadBuffer(o.ReceiveBuffer)
	}
	if err = errors.Join(err, conn.SetDeadline(time.Now().Add(dialTimeout))); err == nil {
		err = c.open(address, auth)
	}
	if err = errors.Join(err, conn.SetDeadline(time.Time{})); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// open does all three handshakes: HTTP's, Engine.IO's and Socket.IO's.
func (c *Client) open(address string, auth Auth) error {
	_, err := fmt.Fprintf(c.conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", address)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return Refused(response.StatusCode)
	}
	opened, err := c.readFrame()
	if err != nil {
		return err
	}
	if len(opened) == 0 || opened[0] != '0' {
		return fmt.Errorf("%.100q instead of Engine.IO's open", opened)
	}
	body, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	if err := c.Write("0" + string(body)); err != nil {
		return err
	}
	return c.awaitWelcome()
}

// awaitWelcome reads what was missed, the answer to the CONNECT, and the welcome.
func (c *Client) awaitWelcome() error {
	for {
		packet, err := c.Next()
		if err != nil {
			return err
		}
		switch {
		case packet[0] == '0':
			var answer struct{ SID, PID string }
			if err := json.Unmarshal(packet[1:], &answer); err != nil {
				return err
			}
			c.Session, c.PID = answer.SID, answer.PID
		case c.Session != "" && bytes.HasPrefix(packet, []byte(`2["welcome",`)):
			return nil
		case c.Session == "" && bytes.HasPrefix(packet, []byte(`2["message",`)):
			c.Replayed = append(c.Replayed, Heard{Room(packet), Seq(packet)})
		default:
			return fmt.Errorf("%.200q before the welcome", packet)
		}
	}
}

// Close ends the connection without a word.
func (c *Client) Close() { c.conn.Close() }

// Next returns the next packet of Socket.IO's. It is valid until the next call.
func (c *Client) Next() ([]byte, error) {
	for {
		frame, err := c.readFrame()
		switch {
		case err != nil:
			return nil, err
		case string(frame) == "2":
			if err := c.write("3"); err != nil {
				return nil, err
			}
		case len(frame) < 2 || frame[0] != '4':
			return nil, fmt.Errorf("the relay sent %.100q", frame)
		default:
			c.noteOffset(frame)
			return frame[1:], nil
		}
	}
}

// noteOffset takes an event's last argument, if it is a string.
func (c *Client) noteOffset(frame []byte) {
	if bytes.HasPrefix(frame, []byte("42")) && bytes.HasSuffix(frame, []byte(`"]`)) {
		if at := bytes.LastIndex(frame, []byte(`,"`)); at >= 0 {
			c.Offset = string(frame[at+2 : len(frame)-2])
		}
	}
}

// readFrame reads one frame of WebSocket's, of those that a relay sends: whole ones.
func (c *Client) readFrame() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return nil, err
	}
	opcode, size := head[0]&0xf, uint64(head[1])
	switch size {
	case 126:
		if _, err := io.ReadFull(c.in, head[:2]); err != nil {
			return nil, err
		}
		size = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return nil, err
		}
		size = binary.BigEndian.Uint64(head[:])
	}
	if size > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	if uint64(cap(c.frame)) < size {
		c.frame = make([]byte, size)
	}
	c.frame = c.frame[:size]
	if _, err := io.ReadFull(c.in, c.frame); err != nil {
		return nil, err
	}
	if opcode == 8 && size >= 2 {
		return nil, fmt.Errorf("closed: %d %s", binary.BigEndian.Uint16(c.frame), c.frame[2:])
	}
	if opcode != 1 {
		return nil, fmt.Errorf("a frame with opcode %d", opcode)
	}
	return c.frame, nil
}

// Write sends a packet of Socket.IO's.
func (c *Client) Write(packet string) error { return c.write("4" + packet) }

func (c *Client) write(text string) error {
	frame := wiretest.ClientFrame(0x80|wiretest.OpText, []byte(text))
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.conn.Write(frame)
	return err
}
