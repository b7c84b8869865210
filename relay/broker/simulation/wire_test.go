package simulation

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"setu/relay/wiretest"
)

// wireQueue bounds the packets that wait to be written on one connection.
const wireQueue = 4096

// wire is a client's WebSocket.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	out  chan []byte
	once sync.Once
	done chan struct{} // closed when the connection has ended
}

// dialWire opens a connection and starts its writer; the handshake is for whoever reads.
func dialWire(c net.Conn, running *sync.WaitGroup) *wire {
	w := &wire{conn: c, r: bufio.NewReader(c), out: make(chan []byte, wireQueue), done: make(chan struct{})}
	running.Go(func() {
		defer w.close()
		for {
			select {
			case b := <-w.out:
				if _, err := c.Write(b); err != nil {
					return
				}
			case <-w.done:
				return
			}
		}
	})
	w.out <- []byte("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: relay\r\n" + wiretest.HandshakeHeader + "\r\n")
	return w
}

func (w *wire) close() {
	w.once.Do(func() { close(w.done) })
	_ = w.conn.Close()
}

// say queues a text packet. A connection that takes nothing is ended.
func (w *wire) say(packet string) {
	select {
	case w.out <- wiretest.ClientFrame(0x81, []byte(packet)):
	default:
		w.close()
	}
}

func (w *wire) handshake() error {
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("refused: %s", res.Status)
	}
	return nil
}

var errClosed = errors.New("closed by the relay")

// read returns the next text packet.
func (w *wire) read() (string, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.r, head[:]); err != nil {
			return "", err
		}
		n := uint64(head[1] & 0x7f)
		var more [8]byte
		switch n {
		case 126:
			if _, err := io.ReadFull(w.r, more[:2]); err != nil {
				return "", err
			}
			n = uint64(binary.BigEndian.Uint16(more[:2]))
		case 127:
			if _, err := io.ReadFull(w.r, more[:]); err != nil {
				return "", err
			}
			n = binary.BigEndian.Uint64(more[:])
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.r, payload); err != nil {
			return "", err
		}
		switch head[0] & 0xf {
		case wiretest.OpText:
			return string(payload), nil
		case wiretest.OpClose:
			return "", errClosed
		}
	}
}
