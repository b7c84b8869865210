package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"setu/relay"
	"setu/relay/broker"
	"setu/relay/wiretest"
)

// serveWeb serves a relay and the page on loopback.
func serveWeb(t *testing.T, settings ...string) *httptest.Server {
	t.Helper()
	cfg, err := relay.LoadConfig(settings)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	b := broker.NewMemory(cfg.Limits())
	srv, err := relay.New(cfg, b, log)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(nil)
	web.Config = newWeb(cfg, srv, log)
	web.Listener = listen(web.Listener, srv, web.Config)
	web.Start()
	t.Cleanup(func() {
		_ = srv.Shutdown(t.Context())
		web.Close()
		_ = b.Close(t.Context())
	})
	return web
}

func dialWeb(t *testing.T, web *httptest.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// begin opens a connection and begins a request on it. It reports false if the connection was closed.
func begin(t *testing.T, web *httptest.Server) (c net.Conn, stays bool) {
	t.Helper()
	return beginFor(t, web, 100*time.Millisecond)
}

// isClosed begins a request, and reports whether the connection is closed for that.
func isClosed(t *testing.T, web *httptest.Server) bool {
	t.Helper()
	_, stays := beginFor(t, web, 5*time.Second) // what is not refused is cut after ten
	return !stays
}

func beginFor(t *testing.T, web *httptest.Server, d time.Duration) (c net.Conn, stays bool) {
	t.Helper()
	c = dialWeb(t, web)
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\n")
	_ = c.SetReadDeadline(time.Now().Add(d))
	_, err := c.Read(make([]byte, 1))
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	timeout, ok := err.(net.Error)
	return c, ok && timeout.Timeout()
}

// Connections on which nothing is asked are bounded by address; what is asked, and a WebSocket, are not
// counted among them.
func TestIdleConnections(t *testing.T) {
	web := serveWeb(t, "MAX_ADDRESS_CONNECTIONS=3")
	wiretest.Upgrade(t, dialWeb(t, web)).Packet() // a session, which is counted on its own
	var open []net.Conn
	for range 3 {
		c, stays := begin(t, web)
		if !stays {
			t.Fatal("closed")
		}
		open = append(open, c)
	}
	if !isClosed(t, web) {
		t.Fatal("one more")
	}
	fmt.Fprint(open[0], "Host: relay\r\nConnection: close\r\n\r\n")
	if answer, err := io.ReadAll(open[0]); err != nil || len(answer) == 0 {
		t.Fatal(string(answer), err)
	}
	fmt.Fprint(open[1], "Host: relay\r\n\r\n") // answered, and kept for the next request
	if _, err := open[1].Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Minute)
	for _, stays := begin(t, web); !stays; _, stays = begin(t, web) { // the first one is gone in a moment
		if time.Now().After(end) {
			t.Fatal("none is free")
		}
	}
	if !isClosed(t, web) {
		t.Fatal("one more, with one that is kept")
	}
}

// Of a proxy whom it brings is known when they ask.
func TestIdleConnectionsOfProxies(t *testing.T) {
	for _, setting := range []string{"TRUSTED_PROXIES=127.0.0.0/8", "FLY_MACHINE_ID=m", "MAX_ADDRESS_CONNECTIONS=0"} {
		web := serveWeb(t, "MAX_ADDRESS_CONNECTIONS=1", setting)
		for range 3 {
			if _, stays := begin(t, web); !stays {
				t.Errorf("%s: closed", setting)
			}
		}
	}
}

// Files of the page are limited by address; whether the relay is well is not.
func TestFilesAreLimited(t *testing.T) {
	web := serveWeb(t, "HANDSHAKE_RATE=1/h:4") // of files twice as many at once
	status := func(path string) int {
		res, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Error("nobody is told how long to wait")
		}
		return res.StatusCode
	}
	for i := range 10 {
		if got := status("/nothing"); (got == http.StatusTooManyRequests) != (i >= 8) {
			t.Error(i, got)
		}
	}
	if got := status("/healthz"); got != http.StatusOK {
		t.Error(got)
	}
	if got := status(relay.Path + "?EIO=4&transport=polling"); got != http.StatusOK {
		t.Error("a handshake: ", got)
	}
}

// Whoever goes on asking for files that are refused pays for them as for handshakes, until nothing of that
// address is read.
func TestRefusedFilesAreCharged(t *testing.T) {
	web := serveWeb(t, "HANDSHAKE_RATE=1/h:4")
	for i := range 11 {
		res, err := http.Get(web.URL + "/")
		if err != nil {
			t.Fatal(i, err)
		}
		_ = res.Body.Close()
		if refused := res.StatusCode == http.StatusTooManyRequests; refused != (i >= 8) {
			t.Fatal(i, res.Status)
		}
	}
	for range 20 {
		res, err := http.Get(web.URL + "/")
		if err != nil {
			return
		}
		_ = res.Body.Close()
	}
	t.Error("it is still read")
}

// An address that opens connections faster than anybody needs them is not read.
func TestConnectionsAreGuarded(t *testing.T) {
	web := serveWeb(t, "HANDSHAKE_RATE=1/h:1")
	for range 8 {
		if _, stays := begin(t, web); !stays {
			t.Fatal("closed")
		}
	}
	if !isClosed(t, web) {
		t.Error("one more is read")
	}
}
