package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const path = "/socket.io/"

// rig is a server behind a Listener: the handler that takes handshakes says "here", the server "web".
type rig struct {
	t     *testing.T
	l     net.Listener
	log   lockedBuffer
	mu    sync.Mutex
	state []string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server over tcp, and has handshakes served by here; nil: they are taken over and answered.
func serve(t *testing.T, tcp net.Listener, here http.HandlerFunc) *rig {
	t.Helper()
	return serveWithin(t, tcp, here, time.Minute)
}

// serveWithin starts one that gives a request this long.
func serveWithin(t *testing.T, tcp net.Listener, here http.HandlerFunc, timeout time.Duration) *rig {
	t.Helper()
	r := &rig{t: t}
	if here == nil {
		here = func(w http.ResponseWriter, req *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(c, "here %s %s %d", req.Header.Get("X"), req.URL.RawQuery, rw.Reader.Buffered())
			_ = c.Close()
		}
	}
	web := &http.Server{ReadHeaderTimeout: timeout, ErrorLog: log.New(&r.log, "", 0), MaxHeaderBytes: 8 << 10,
		ConnState: func(_ net.Conn, s http.ConnState) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.state = append(r.state, s.String())
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(w, "web "+req.Method)
		})}
	r.l = Listen(tcp, web, path, here)
	var served sync.WaitGroup
	served.Go(func() { _ = web.Serve(r.l) })
	t.Cleanup(func() {
		_ = web.Close()
		served.Wait()
	})
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.l.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

const whole = "GET " + path + "?transport=websocket HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n"

func TestHandshakeIsServedHere(t *testing.T) {
	r := serve(t, listen(t), nil)
	c := r.dial()
	_, _ = io.WriteString(c, strings.Replace(whole, "Upgrade: websocket", "upgrade: WebSocket", 1)) // as some proxies write it
	if got, err := io.ReadAll(c); string(got) != "here y transport=websocket 0" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.state, " "); got != "new active hijacked" {
		t.Error(got)
	}
}

// What is anything else goes to the server, with all that was read of it, and is judged there.
func TestOthersAreServedByTheServer(t *testing.T) {
	r := serve(t, listen(t), nil)
	for what, request := range map[string]struct{ text, want string }{
		"a page":              {"GET / HTTP/1.1\r\nHost: relay\r\n\r\n", "web GET"},
		"no upgrade":          {strings.Replace(whole, "Upgrade: websocket\r\n", "", 1), "web GET"},
		"polling":             {"GET " + path + " HTTP/1.1\r\nHost: relay\r\n\r\n", "web GET"},
		"a POST":              {"POST " + path + " HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nxx", "web POST"},
		"a body":              {strings.Replace(whole, "X: y", "content-length: 2", 1) + "xx", "web GET"},
		"a body to come":      {strings.Replace(whole, "X: y", "Transfer-Encoding: chunked", 1) + "0\r\n\r\n", "web GET"},
		"half of it":          {whole[:len(whole)-10], ""},
		"an older version":    {strings.Replace(whole, "1.1", "1.0", 1), "web GET"},
		"a newer version":     {strings.Replace(whole, "1.1", "3.0", 1), "505 HTTP Version Not Supported"},
		"no host":             {strings.Replace(whole, "Host: relay\r\n", "", 1), "400 Bad Request"},
		"two hosts":           {strings.Replace(whole, "Host: relay", "Host: relay\r\nHost: other", 1), "400 Bad Request"},
		"a bad host":          {strings.Replace(whole, "Host: relay", "Host: re lay", 1), "400 Bad Request"},
		"a bad name":          {strings.Replace(whole, "X: y", "X y: z", 1), "400 Bad Request"},
		"a bad value":         {strings.Replace(whole, "X: y", "X: \x00", 1), "400 Bad Request"},
		"a bare end of line":  {strings.Replace(whole, "X: y", "X: y\rZ: z", 1), "400 Bad Request"},
		"another upgrade":     {strings.Replace(whole, "Upgrade: websocket", "Upgrade: h2c", 1), "web GET"},
		"no request at all":   {"\x16\x03\x01\x02\x00\r\n\r\n", "400 Bad Request"},
		"headers too large":   {strings.Replace(whole, "X: y", "X: "+strings.Repeat("y", 20<<10), 1), "431 Request Header Fields Too Large"},
		"frames right behind": {whole + "\x81\x00", "web GET"},
	} {
		c := r.dial()
		_, _ = io.WriteString(c, request.text)
		if request.want == "" {
			<-time.After(50 * time.Millisecond)
			_, _ = io.WriteString(c, whole[len(whole)-10:])
			request.want = "web GET"
		}
		_ = c.(*net.TCPConn).CloseWrite()
		if got, _ := io.ReadAll(c); !strings.Contains(string(got), request.want) {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A handshake that is refused has an answer, after which the connection serves on, unless it says otherwise.
func TestRefusedHandshake(t *testing.T) {
	r := serve(t, listen(t), func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X", "y")
		if req.URL.Query().Has("close") {
			w.Header().Set("Connection", "close")
		}
		http.Error(w, "no", http.StatusTooManyRequests)
	})
	c := r.dial()
	in := bufio.NewReader(c)
	read := func() (status int, body string) {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode == 429 && (res.Header.Get("X") != "y" || res.Header.Get("Date") == "") {
			t.Error(err, res.Header)
		}
		return res.StatusCode, string(b)
	}
	_, _ = io.WriteString(c, whole)
	if status, body := read(); status != 429 || body != "no\n" {
		t.Error(status, body)
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
	if status, body := read(); status != 200 || body != "web GET" {
		t.Error(status, body)
	}
	c = r.dial()
	in.Reset(c)
	_, _ = io.WriteString(c, strings.Replace(whole, "websocket HTTP", "websocket&close HTTP", 1))
	if status, _ := read(); status != 429 {
		t.Error(status)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Error("it is open: ", err)
	}
}

func TestPanicCostsOneConnection(t *testing.T) {
	r := serve(t, listen(t), func(http.ResponseWriter, *http.Request) { panic("a fault") })
	c := r.dial()
	_, _ = io.WriteString(c, whole)
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("%q", got)
	}
	for end := time.Now().Add(time.Minute); !strings.Contains(r.log.String(), "http: panic serving 127.0.0.1:"); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q", r.log.String())
		}
	}
}

// Who says nothing has as long as a server gives, or until the listener is closed.
func TestSilentConnections(t *testing.T) {
	r := serveWithin(t, listen(t), nil, time.Second)
	start, c := time.Now(), r.dial()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(start) < time.Second {
		t.Error(err, time.Since(start))
	}
	r = serve(t, listen(t), nil)
	c = r.dial()
	<-time.After(50 * time.Millisecond)
	_ = r.l.Close()
	start = time.Now()
	if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(start) > 30*time.Second {
		t.Error(err, time.Since(start))
	}
}

// failing is a listener that fails now and then, as one does that has no files left.
type failing struct {
	net.Listener
	mu    sync.Mutex
	fails int
}

type temporary struct{ error }

func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }

func (f *failing) Accept() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails++; f.fails%2 == 1 {
		return nil, temporary{errors.New("no files left")}
	}
	return f.Listener.Accept()
}

// Errors of accepting are the server's to judge: it goes on after those that pass.
func TestAcceptErrors(t *testing.T) {
	r := serve(t, &failing{Listener: listen(t)}, nil)
	for range 3 {
		c := r.dial()
		_, _ = io.WriteString(c, whole)
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "here") {
			t.Fatalf("%q %v", got, err)
		}
	}
	if !strings.Contains(r.log.String(), "http: Accept error: no files left") {
		t.Errorf("%q", r.log.String())
	}
}

// A connection waits for its turn before it is read.
func TestInTurn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})}
	turn, waits := make(chan struct{}), make(chan struct{})
	all := Listen(l, web, path, web.Handler).InTurn(func(net.Conn) { close(waits); <-turn })
	var served sync.WaitGroup
	served.Go(func() { _ = web.Serve(all) })
	defer served.Wait()
	defer web.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
	<-waits
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("it is answered before its turn")
	}
	close(turn)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Error(err)
	}
}
