package engine

import (
	"net/http"
	"net/url"
	"testing"
)

// A parameter is what net/url says, however the query is written.
func TestParam(t *testing.T) {
	for _, query := range []string{
		"", "sid", "sid=", "sid=x", "sid=x&sid=y", "EIO=4&transport=websocket&sid=x", "s%69d=x", "sid=%78+y", "sid=x=y",
		"sid=%zz", "sid=%zz&sid=y", "%zz=x&sid=y", "sid=x;y", "sid=x;y&sid=z", "a;b&sid=z", "&&sid=x&", "Sid=x", "=x&sid=y",
	} {
		r := &http.Request{URL: &url.URL{RawQuery: query}}
		want := r.URL.Query()["sid"]
		value, times := param(r, "sid")
		if times != len(want) || value != r.URL.Query().Get("sid") {
			t.Errorf("%q: %q, %d times, and not %q", query, value, times, want)
		}
	}
}

// A handshake costs nothing for being asked what it wants.
func TestParamAllocations(t *testing.T) {
	r := &http.Request{URL: &url.URL{RawQuery: "EIO=4&transport=websocket"}}
	if n := testing.AllocsPerRun(100, func() { Param(r, "transport") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
