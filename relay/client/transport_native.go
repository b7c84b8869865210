//go:build !js

package client

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// maxFrame bounds what a relay may send at a time, in bytes: an answer with a room's history is the largest.
const maxFrame = 64 << 20

// Native is what only native builds can be told.
type Native struct {
	HTTPClient *http.Client // for the WebSocket's handshake; nil: one with the default transport's settings
	Header     http.Header  // sent with the handshake
}

type nativeTransport struct {
	conn *websocket.Conn
	stop func() bool // the end of the dial's ctx closes the stream no more
}

// upgrader keeps the stream that a handshake turned its connection into.
type upgrader struct {
	http.RoundTripper
	stream io.Closer
}

func (u *upgrader) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := u.RoundTripper.RoundTrip(q)
	if err == nil {
		u.stream = r.Body
	}
	return r, err
}

func dial(ctx context.Context, url string, n Native) (transport, error) {
	var client http.Client
	if n.HTTPClient != nil {
		client = *n.HTTPClient
	} else {
		// A transport of its own keeps no idle connection, and so no goroutine, after a refused handshake.
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true
		client.Transport = t
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	u := &upgrader{RoundTripper: client.Transport}
	client.Transport = u
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &client, HTTPHeader: n.Header})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxFrame)
	// The library's Close waits for five seconds, whatever ctx says, where it takes the place of our Read between two
	// frames, and no other call of the library ends it. The end of the stream does.
	return nativeTransport{conn, context.AfterFunc(ctx, func() { _ = u.stream.Close() })}, nil
}

func (t nativeTransport) Read(ctx context.Context) ([]byte, bool, error) {
	kind, data, err := t.conn.Read(ctx)
	return data, kind == websocket.MessageBinary, err
}

func (t nativeTransport) Write(ctx context.Context, frame []byte, binary bool) error {
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	return t.conn.Write(ctx, kind, frame)
}

func (t nativeTransport) Close(politely bool) {
	defer t.stop()
	if politely {
		_ = t.conn.Close(websocket.StatusNormalClosure, "")
		return
	}
	_ = t.conn.CloseNow()
}

func random(b []byte) { _, _ = rand.Read(b) } // never fails

// listen: there is nobody to tell us of networks and windows.
func listen(func()) (stop func()) { return func() {} }
