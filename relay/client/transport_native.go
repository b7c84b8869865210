//go:build !js

package client

import (
	"context"
	"crypto/rand"
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

type nativeTransport struct{ conn *websocket.Conn }

func dial(ctx context.Context, url string, n Native) (transport, error) {
	client := n.HTTPClient
	if client == nil {
		// A transport of its own keeps no idle connection, and so no goroutine, after a refused handshake.
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true
		client = &http.Client{Transport: t}
	}
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client, HTTPHeader: n.Header})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxFrame)
	return nativeTransport{conn}, nil
}

func (t nativeTransport) Read(ctx context.Context) ([]byte, bool, error) {
	kind, data, err := t.conn.Read(ctx)
	return data, kind == websocket.MessageBinary, err
}

func (t nativeTransport) Write(ctx context.Context, frame []byte) error {
	return t.conn.Write(ctx, websocket.MessageText, frame)
}

func (t nativeTransport) Close(politely bool) {
	if politely {
		_ = t.conn.Close(websocket.StatusNormalClosure, "")
		return
	}
	_ = t.conn.CloseNow()
}

func random(b []byte) { _, _ = rand.Read(b) } // never fails

// listen: there is nobody to tell us of networks and windows.
func listen(func()) (stop func()) { return func() {} }
