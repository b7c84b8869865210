package relay

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// exhausted is a listener that has no files left, for a while.
type exhausted struct {
	net.Listener
	left int
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.left--; l.left < 0 {
		return nil, net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
}

// An error that keeps clients out is logged as a warning, a few times; an error of a client is not.
func TestWebLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out wiretest.Log
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		web := &http.Server{ErrorLog: WebLog(log, metrics.New()), ReadHeaderTimeout: time.Second}
		if err := web.Serve(&exhausted{wiretest.NewPipes(), 100}); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if !out.Has("level=WARN") || !out.Has("too many open files") || !out.Has("limit on open files") || !out.Has(" left_out=") {
			t.Error("nothing was said of a lack of files")
		}
		if n := strings.Count(out.String(), "level=WARN"); n < 5 || n > 20 {
			t.Errorf("%d lines of 100", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var out wiretest.Log
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		WebLog(log, metrics.New()).Print("http: TLS handshake error from 192.0.2.1:4711: EOF")
		if !out.Has(`level=DEBUG msg="http: TLS handshake error from 192.0.2.1:4711: EOF"`) {
			t.Error(out.String())
		}
		WebLog(log, metrics.New()).Print("http: panic serving 192.0.2.1:4711: oh\ngoroutine 1")
		if !out.Has("level=ERROR") || !out.Has("192.0.2.1:4711: oh") {
			t.Error(out.String())
		}
	})
}

func TestCheckFiles(t *testing.T) {
	limit, ok := openFiles()
	if !ok {
		t.Skip("no limit on open files here")
	}
	fits := Config{MaxConnections: int(min(limit, 1<<30)) - spareFiles}
	if err := fits.CheckFiles(); err != nil {
		t.Error(err)
	}
	if limit > 1<<30 {
		t.Skip("there is no limit to speak of")
	}
	fits.MaxConnections++
	if err := fits.CheckFiles(); err == nil {
		t.Error("one too many is fine")
	}
}
