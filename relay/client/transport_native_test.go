//go:build !js

package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// serve starts a relay over real sockets, which accepts every client and then calls what it was
// given.
func serve(t *testing.T, then func(ctx context.Context, conn *websocket.Conn)) string {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.RawQuery != "EIO=4&transport=websocket" || q.Header.Get("X-Test") != "yes" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		conn, err := websocket.Accept(w, q, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		ctx := q.Context()
		_ = conn.Write(ctx, websocket.MessageText, []byte(handshake))
		if _, _, err := conn.Read(ctx); err != nil {
			return
		}
		_ = conn.Write(ctx, websocket.MessageText, []byte(`40{"sid":"s"}`))
		then(ctx, conn)
	})
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func native(l *log) *Options {
	return &Options{Handler: l.handler(), Native: Native{Header: http.Header{"X-Test": {"yes"}}}}
}

func TestNative(t *testing.T) {
	frames := make(chan string, 8)
	closed := make(chan websocket.StatusCode, 1)
	url := serve(t, func(ctx context.Context, conn *websocket.Conn) {
		_ = conn.Write(ctx, websocket.MessageText, []byte(`42["error_event",{"error":{"code":"`+strings.Repeat("x", 100_000)+`"}}]`))
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				closed <- websocket.CloseStatus(err)
				return
			}
			frames <- string(data)
		}
	})
	told := make(chan error, 1)
	o := native(&log{})
	o.Handler.Error = func(err error) { told <- err }
	c, err := Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-told; len(err.Error()) < 100_000 { // beyond the library's own bound
		t.Errorf("told: %.100v", err)
	}
	if got := <-frames; got != `421["ping",{}]` {
		t.Errorf("first came %q", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-frames; got != "41" {
		t.Errorf("goodbye was %q", got)
	}
	if got := <-closed; got != websocket.StatusNormalClosure {
		t.Errorf("closed with %v", got)
	}
}

func TestNativeBinary(t *testing.T) {
	url := serve(t, func(ctx context.Context, conn *websocket.Conn) {
		for attached := false; ; {
			kind, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			switch text := string(data); {
			case attached && (kind != websocket.MessageBinary || text != "\x00\xff"):
				t.Errorf("after the packet came %v %q", kind, text)
			case attached: // the second request, after the ping
				_ = conn.Write(ctx, websocket.MessageText, []byte(`461-2[{"ok":true,"messages":[{"seq":1,"data":`+one+`}]}]`))
				_ = conn.Write(ctx, websocket.MessageBinary, []byte("\xff\x00"))
			}
			attached = strings.HasPrefix(string(data), "451-2[")
		}
	})
	c, err := Dial(t.Context(), url, native(&log{}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var h History
	q := newCall("publish", "a", withMembers(eventBody("publish", publishRequest{"a", "x"}), append([]byte(`,"data":`), placeholder(0)...)))
	q.attachments = [][]byte{[]byte("\x00\xff")}
	if err := c.request(t.Context(), q, &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Messages) != 1 || inside(h.Messages[0]) != one+` ["\xff\x00"]` {
		t.Errorf("%+v", h)
	}
}

// A relay that does not answer the closing handshake delays Close by a second, not by the library's
// ten.
func TestNativeCloseIsBounded(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(context.Context, *websocket.Conn) { <-release })
	defer close(release)
	c, err := Dial(t.Context(), url, native(&log{}))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_ = c.Close()
	if took := time.Since(start); took > 8*closeTimeout { // the library's own is ten seconds
		t.Errorf("Close took %v", took)
	}
}

// A closing handshake ends with the transport's context even if no Read is under way that could end
// with it.
func TestNativeCloseEndsWithItsLife(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(context.Context, *websocket.Conn) { <-release })
	defer close(release)
	address, err := address(url, "/socket.io/", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conn, err := dial(ctx, address, native(&log{}).Native)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(ctx, []byte("40"), false); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	conn.Close(true)
	if took := time.Since(start); took > 8*closeTimeout { // the library's own is ten seconds
		t.Errorf("Close took %v", took)
	}
}

func TestNativeRefused(t *testing.T) {
	url := serve(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := Dial(ctx, url, nil) // without the header that the relay requires
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "400") {
		t.Errorf("%v", err)
	}
}
