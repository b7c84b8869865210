//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// The metrics are served on a port of their own, with nothing else, until the end of a drain; where
// everybody is served they are not.
func TestMetricsPort(t *testing.T) {
	address, port := holdPort(t)
	own := "http://" + address
	p := startProcess(t, manyFiles, "METRICS_PORT="+port, "DRAIN_TIMEOUT=10s")
	p.connectDeaf()
	var status int
	var body string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(time.Millisecond) { // a client has its handshake before it is counted
		if status, body = fetch(t, own+"/metrics"); strings.Contains(body, "\nsetu_connections{transport=\"websocket\"} 1\n") {
			break
		}
	}
	if status != 200 || !strings.Contains(body, "\nsetu_ready 1\n") || !strings.Contains(body, "\nsetu_connections{transport=\"websocket\"} 1\n") ||
		!strings.Contains(body, "\nsetu_build_info{goversion=\"go1") || !strings.Contains(body, "\ngo_goroutines ") || !strings.Contains(body, "\nprocess_open_fds ") {
		t.Error(status, body)
	}
	for _, path := range []string{"/", "/readyz", "/socket.io/?EIO=4&transport=polling", "/metrics/"} {
		if status, _ := fetch(t, own+path); status != 404 {
			t.Errorf("%s on METRICS_PORT: %d", path, status)
		}
	}
	for _, path := range []string{"/metrics", "/metrics/", "/socket.io/metrics"} {
		if _, body := fetch(t, "http://"+p.address+path); strings.Contains(body, "setu_ready") || strings.Contains(body, "go_goroutines") {
			t.Errorf("%s on PORT: %s", path, body)
		}
	}
	p.signal(syscall.SIGTERM)
	p.await("msg=draining")
	_, body = fetch(t, own+"/metrics")
	for end := time.Now().Add(5 * time.Second); !strings.Contains(body, "\nsetu_ready 0\n"); _, body = fetch(t, own+"/metrics") { // the log says it first
		if time.Now().After(end) {
			t.Fatal("during a drain: ", body)
		}
	}
	p.wait()
}

// Without METRICS_PORT nothing is served; one that is taken, or PORT's, stops the start.
func TestMetricsPortThatWontDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	for what, environ := range map[string][]string{
		"METRICS_HOST and METRICS_PORT": {"HOST=127.0.0.1", fmt.Sprint("METRICS_PORT=", taken)},
		"METRICS_PORT: listen":          {"METRICS_HOST=127.0.0.1", fmt.Sprint("METRICS_PORT=", taken)},
		"METRICS_PORT is ":              {"PORT=9091", "METRICS_PORT=9091"},
		"no such host":                  {"METRICS_HOST=nowhere.invalid", "METRICS_PORT=9091"},
	} {
		if err := run(nil, environ, io.Discard); err == nil || !strings.Contains(err.Error(), what) && what != "no such host" || !strings.Contains(err.Error(), "METRICS_PORT") {
			t.Errorf("%v: %v", environ, err)
		}
	}
	p := startProcess(t, manyFiles)
	if strings.Contains(p.said(), "metrics") {
		t.Error(p.said())
	}
	p.signal(syscall.SIGTERM)
	p.wait()
}
