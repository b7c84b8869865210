package engine

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"setu/relay/wiretest"
)

// The answers are those of ws 8, the stock server's library.
func TestSubprotocols(t *testing.T) {
	tests := []struct {
		name   string
		offers []string // a header line each
		want   string   // what is answered, if it is not refused
		fails  bool
	}{
		{name: "none"},
		{name: "one", offers: []string{"chat"}, want: "chat"},
		{name: "the first of many", offers: []string{"b, a,c"}, want: "b"},
		{name: "as it is written", offers: []string{"Chat,chat"}, want: "Chat"},
		{name: "spaces and tabs", offers: []string{" v1.json\t , \tv2"}, want: "v1.json"},
		{name: "many lines", offers: []string{"x", "y"}, want: "x"},
		{name: "all that a token may hold", offers: []string{"!#$%&'*+-.^_`|~09azAZ"}, want: "!#$%&'*+-.^_`|~09azAZ"},
		{name: "nothing", offers: []string{""}, fails: true},
		{name: "a comma", offers: []string{","}, fails: true},
		{name: "a comma at the end", offers: []string{"a,"}, fails: true},
		{name: "a comma first", offers: []string{",a"}, fails: true},
		{name: "two commas", offers: []string{"a,,b"}, fails: true},
		{name: "a line of nothing", offers: []string{"a", ""}, fails: true},
		{name: "two words", offers: []string{"a b"}, fails: true},
		{name: "twice", offers: []string{"a, b, a"}, fails: true},
		{name: "twice, on two lines", offers: []string{"a", "a"}, fails: true},
		{name: "a separator", offers: []string{"a;b"}, fails: true},
		{name: "a quoted one", offers: []string{`"a"`}, fails: true},
		{name: "no ASCII", offers: []string{"ä"}, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				polls := r.Poll()
				for _, sid := range []string{"", polls.SID} {
					res, k := r.offer(sid, tt.offers)
					switch got := res.Header.Values("Sec-WebSocket-Protocol"); {
					case tt.fails:
						if res.StatusCode != http.StatusBadRequest || !r.log.Has(errSubprotocols.Error()) {
							t.Errorf("sid %q: %s; or the log says nothing", sid, res.Status)
						}
						continue
					case res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != tt.want || len(got) > 1:
						t.Fatalf("sid %q: %s %q", sid, res.Status, got)
					}
					if sid == "" {
						k.Packet()
					} else {
						k.Text("2probe")
						k.Expect("3probe")
						k.Text("5")
					}
					k.Text("4x")
					k.Expect("4x")
				}
				synctest.Wait()
				want := 2
				if tt.fails {
					want = 1
					still(polls)
				}
				if n := r.srv.Count(); n != want {
					t.Errorf("%d sessions, want %d", n, want)
				}
			})
		})
	}
}

// offer asks for a WebSocket with subprotocols, for a new session or the one with this id.
func (r *rig) offer(sid string, lists []string) (*http.Response, *wiretest.Peer) {
	r.T.Helper()
	c := r.Dial()
	_, _ = fmt.Fprintf(c, "GET %s?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: relay\r\n%s", path, sid, wiretest.HandshakeHeader)
	for _, list := range lists {
		_, _ = fmt.Fprintf(c, "Sec-WebSocket-Protocol: %s\r\n", list)
	}
	_, _ = c.Write([]byte("\r\n"))
	k := &wiretest.Peer{T: r.T, Conn: c, Reader: bufio.NewReader(c)}
	res, err := http.ReadResponse(k.Reader, nil)
	if err != nil {
		r.T.Fatal(err)
	}
	return res, k
}
