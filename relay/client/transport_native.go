//go:build !js

package client

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// maxFrame bounds one received frame, in bytes. The largest is an answer with a room's history.
const maxFrame = 64 << 20

// Native holds the settings that only native builds have. The zero value works.
type Native struct {
	HTTPClient *http.Client // for the handshake; nil: one with http.DefaultTransport's settings
	Header     http.Header  // sent with the handshake
	Compress   bool         // have messages compressed, in both directions, by relays that do (COMPRESSION)
}

type nativeTransport struct {
	conn *websocket.Conn
	stop func() bool // keeps the end of the dial's ctx from closing the stream
}

// streamCapture is a RoundTripper that keeps the stream into which a handshake turned its
// connection.
type streamCapture struct {
	http.RoundTripper
	stream io.Closer
}

func (u *streamCapture) RoundTrip(q *http.Request) (*http.Response, error) {
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
		// With a transport of our own, no idle connection, and so no goroutine, is left after a
		// refused handshake.
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true
		client.Transport = t
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	u := &streamCapture{RoundTripper: client.Transport}
	client.Transport = u
	o := &websocket.DialOptions{HTTPClient: &client, HTTPHeader: n.Header}
	if n.Compress {
		o.CompressionMode = websocket.CompressionNoContextTakeover
	}
	conn, _, err := websocket.Dial(ctx, url, o)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxFrame)
	// If the library's Close finds our Read between two frames, it reads in its place for five
	// seconds, whatever ctx says, and no other call of the library ends that. Closing the stream
	// does.
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

func (t nativeTransport) Close(graceful bool) {
	defer t.stop()
	if graceful {
		_ = t.conn.Close(websocket.StatusNormalClosure, "")
		return
	}
	_ = t.conn.CloseNow()
}

func random(b []byte) { _, _ = rand.Read(b) } // never fails

// listen does nothing: native builds get no events of the network or of a page.
func listen(func()) (stop func()) { return func() {} }
