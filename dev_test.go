package main

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"setu/relay/dev"
)

// setu dev reads its arguments, and listens as serve does; only it has /_dev.
func TestDevCommand(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"dev", "-h"}, []string{"PORT=nonsense"}, &out); err != nil || !strings.Contains(out.String(), "-rules file") {
		t.Error(&out, err)
	}
	if err := run([]string{"dev", "--rule", "x"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "-rule") {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := run([]string{"dev"}, []string{fmt.Sprint("PORT=", l.Addr().(*net.TCPAddr).Port)}, io.Discard); err == nil || !strings.Contains(err.Error(), "HOST and PORT") {
		t.Error("a port that is taken: ", err)
	}
	web := serveWeb(t)
	for _, path := range []string{"/_dev", "/_dev/state", "/_dev/page.js"} {
		w := httptest.NewRecorder()
		if web.Config.Handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil)); w.Code != 404 {
			t.Error(path, w.Code)
		}
	}
	if _, err := dev.New([]string{"--rules", "docs/dev.md"}, nil, io.Discard); err == nil {
		t.Error("no rules are rules")
	}
}
