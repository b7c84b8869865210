package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"setu/relay"
	"setu/relay/broker"
)

func TestHelpAndVersion(t *testing.T) {
	for _, arg := range []string{"help", "-h", "--help"} {
		var out strings.Builder
		if err := run([]string{arg}, []string{"PORT=nonsense"}, &out); err != nil {
			t.Error(err)
		}
		for _, s := range relay.Settings() {
			if !strings.Contains(out.String(), "\n  "+s.Name+" ") || !strings.Contains(out.String(), s.Help) {
				t.Errorf("%s: no %s", arg, s.Name)
			}
		}
	}
	var out strings.Builder
	if err := run([]string{"version"}, nil, &out); err != nil || !strings.HasPrefix(out.String(), "setu ") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q %v", out.String(), err)
	}
}

func TestVersionNamesTheRevision(t *testing.T) {
	stamped := func(modified string) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "1f3a"}, {Key: "vcs.modified", Value: modified}}}
	}
	for name, c := range map[string]struct {
		info   *debug.BuildInfo
		linked string
		want   string
	}{
		"go build":             {stamped("false"), "", "setu v1.2.3 1f3a go1.26.8"},
		"go build, changed":    {stamped("true"), "", "setu v1.2.3 1f3a-dirty go1.26.8"},
		"an image":             {&debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}}, "9c2e", "setu (devel) 9c2e go1.26.8"},
		"no git, no linker":    {&debug.BuildInfo{GoVersion: "go1.26.8"}, "", "setu (devel) unknown-revision go1.26.8"},
		"stamped beats linked": {stamped("false"), "9c2e", "setu v1.2.3 1f3a go1.26.8"},
	} {
		if got := versionOf(c.info, c.linked); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBadCommandLine(t *testing.T) {
	if err := run([]string{"fly"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), `"fly"`) {
		t.Error(err)
	}
	for _, args := range [][]string{nil, {"serve"}, {"health"}} {
		err := run(args, []string{"PORT=http", "LOG_FORMAT=xml"}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), `PORT is "http"`) {
			t.Error(args, err)
		}
	}
	if err := run(nil, []string{"REDIS_URL=nonsense://"}, io.Discard); err == nil || !strings.Contains(err.Error(), "REDIS_URL") {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := run(nil, []string{"HOST=127.0.0.1", fmt.Sprint("PORT=", l.Addr().(*net.TCPAddr).Port)}, io.Discard); err == nil || !strings.Contains(err.Error(), "HOST and PORT") {
		t.Error("a port that is taken: ", err)
	}
}

func TestHealth(t *testing.T) {
	status := http.StatusOK
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Error(r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "not ready: because")
	}))
	port := web.Listener.Addr().(*net.TCPAddr).Port
	environ := []string{fmt.Sprint("PORT=", port), "HOST=127.0.0.1"}
	if err := run([]string{"health"}, environ, io.Discard); err != nil {
		t.Error(err)
	}
	status = http.StatusServiceUnavailable
	if err := run([]string{"health"}, environ, io.Discard); err == nil || err.Error() != "not ready: because" {
		t.Error(err)
	}
	web.Close()
	if err := run([]string{"health"}, environ, io.Discard); err == nil {
		t.Error("nobody answers, and all is well?")
	}
	for _, host := range []string{"", "0.0.0.0", "::"} {
		if err := run([]string{"health"}, []string{fmt.Sprint("PORT=", port), "HOST=" + host}, io.Discard); err == nil || !strings.Contains(err.Error(), "localhost") {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestRoutes(t *testing.T) {
	cfg, err := relay.LoadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	b := broker.NewMemory(cfg.Limits())
	srv, err := relay.New(cfg, b, log)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	defer func() { _ = srv.Shutdown(t.Context()) }()
	web := httptest.NewUnstartedServer(nil)
	web.Config = newWeb(cfg, srv, log)
	web.Start()
	defer web.Close()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/socket.io/?EIO=4&transport=polling": 200, "/": 200} {
		res, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Error(path, res.Status)
		}
	}
	for _, count := range []int{1, 3000} {
		req, _ := http.NewRequest("GET", web.URL+"/socket.io/?EIO=4&transport=websocket", nil)
		for i := range count {
			req.Header.Set(fmt.Sprint("X-", i), strings.Repeat("x", 30_000/count))
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Error(count, " headers: ", res.Status)
		}
	}
	if got := hostOf(&net.TCPAddr{IP: net.IPv6unspecified, Port: 8080}); got != "localhost:8080" {
		t.Error(got)
	}
	if got := hostOf(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}); got != "127.0.0.1:80" {
		t.Error(got)
	}
}

// Clients that ask for the page and read nothing, or send a body that trickles, are cut.
func TestSlowRequests(t *testing.T) {
	web := serveWeb(t, "REQUEST_TIMEOUT=200ms")
	for name, send := range map[string]func(c net.Conn) error{
		"the page, unread": func(c net.Conn) error {
			_, err := io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: relay\r\n\r\n", 100))
			return err
		},
		"a body for the page": trickle("/"),
		"a body for a relay":  trickle(relay.Path + "?EIO=4&transport=polling&sid=x"),
	} {
		c, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		for err == nil {
			err = send(c)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s was not cut", name)
		}
		_ = c.Close()
	}
}

// trickle returns what sends a request, and then its body byte for byte.
func trickle(path string) func(c net.Conn) error {
	text := "POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n\r\n"
	return func(c net.Conn) error {
		_, err := io.WriteString(c, text)
		text = "x"
		<-time.After(10 * time.Millisecond)
		return err
	}
}
