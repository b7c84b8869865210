package relay

import (
	"net/http"
	"strings"
	"testing"

	"setu/relay/wiretest"
)

// Clients are served at and below Path, with a slash or without: a redirect would break WebSockets
// and requests of other sites' pages.
func TestPaths(t *testing.T) {
	up := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	overPipes(t, func(t *testing.T, r *rig) {
		for _, path := range []string{"/socket.io/", "/socket.io", "/socket.io/anything", "/socket.io/a/b/", "/socket.io/socket.io", "/socket.io/socket.io.jsx", "/socket.io/socket.io.js/"} {
			if status, body := r.Request("GET", path+"?EIO=4&transport=polling", nil); status != 200 || !strings.HasPrefix(body, `0{"sid":`) {
				t.Error(path, status, body)
			}
			if status, body := r.Request("GET", path+"?EIO=4&transport=websocket&sid=x", up); status != 400 || body != wiretest.UnknownSID {
				t.Error(path, status, body)
			}
		}
		for _, path := range []string{"/socket.i", "/socket.io.js", "/socket.iox/"} {
			if status, _ := r.Request("GET", path+"?EIO=4&transport=polling", nil); status != 404 {
				t.Error(path, status)
			}
		}
	})
}

// A page that loads the client from here, as from a stock server, is told where it is.
func TestClientFile(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		web := r.Client(t)
		for _, file := range []string{"socket.io.js", "socket.io.min.js", "socket.io.js.map", "socket.io.min.js.map", "socket.io.esm.min.js", "socket.io.msgpack.min.js", "socket.io.js?v=4"} {
			res, err := web.Get("http://relay/socket.io/" + file)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 1000)
			n, _ := res.Body.Read(body)
			_ = res.Body.Close()
			if res.StatusCode != 404 || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.Contains(string(body[:n]), "npm install socket.io-client@4") {
				t.Error(file, res.Status, res.Header, string(body[:n]))
			}
		}
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}
