package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Transport says how a client reaches its relay.
type Transport int

// The ways that Engine.IO has.
const (
	WebSocket Transport = iota
	Polling             // for good: for each answer a GET, for what is sent a POST
	Upgrading           // polling first, and then WebSocket, as stock clients do
)

// String names the transport for a reader.
func (t Transport) String() string {
	return [...]string{"websocket", "polling", "polling and websocket"}[t]
}

// carrier is one connection of a transport: it carries the packets of Engine.IO, in order.
type carrier interface {
	// read returns the next packet. One goroutine reads. An error is the connection's end.
	read(ctx context.Context) (packet, error)

	// write sends packets together, with no others among them. Any goroutine may write.
	write(ctx context.Context, packets ...packet) error

	// upgraded reports whether what began with polling goes over WebSocket.
	upgraded() bool

	// close ends the connection without a word, and what waits in read and write. It may be called again.
	close()
}

// packet is one of Engine.IO: text that begins with its type, or the bytes of a message.
type packet struct {
	binary bool
	data   []byte
}

func text(data string) packet { return packet{data: []byte(data)} }

// connect opens a connection to a relay's endpoint. The first packet that it reads is the relay's open.
func (t Transport) connect(ctx context.Context, endpoint string) (carrier, error) {
	switch t {
	case Polling:
		return dialPolling(ctx, endpoint)
	case Upgrading:
		return dialUpgrading(ctx, endpoint)
	case WebSocket:
		return dialWebSocket(ctx, endpoint)
	}
	return nil, fmt.Errorf("no transport: %d", t)
}

// requests is an HTTP client whose connections serve one request each, lest the library sends one
// again by itself.
func requests() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialSmall}}
}

// dialSmall keeps the kernel from buffering much for a client that stops reading.
func dialSmall(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, network, address)
	if tcp, ok := c.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetReadBuffer(64<<10))
	}
	return c, err
}
