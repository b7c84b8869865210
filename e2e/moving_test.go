package e2e_test

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"setu/e2e/browser"
	"setu/relay"
	"setu/relay/broker"
)

// The example of docs/moving.md: a front end of stock Socket.IO, and a back end of functions behind HTTP.
func TestMovedApp(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node")
	}
	key, secret := rand.Text()+rand.Text(), "whsec_"+base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	app := startApp(t, node, "SETU="+at, "SETU_KEY="+key, "HOOK_SECRET="+secret)
	serveRelay(t, l, "HOOK_URL="+app, "HOOK_NETWORK=any", "HOOK_SECRET="+secret, "HOOK_EVENTS=connect,event,presence",
		"HOOK_HEADERS=cookie", "HOOK_GRACE=0s", "API_KEYS=app:"+key+":read")
	site := serveFrontEnd(t, at)

	b := browser.Start(t)
	enter := func(login string) *browser.Tab {
		tab := b.Tab(t, browser.Desktop)
		tab.Open(site + "/login?as=" + login)
		tab.OpenUntil(site, "window.io && (socket.connected || list.textContent)", "an answer")
		return tab
	}
	asha, ben := enter("a1"), enter("b2")
	ask := func(tab *browser.Tab, want, emit string) {
		t.Helper()
		tab.Eval(fmt.Sprintf(`{ window.answer = undefined; socket.timeout(10000).emit(%s, (err, ...args) => { answer = JSON.stringify(err ? String(err) : args) }); null }`, emit), nil)
		tab.WaitFor(`window.answer !== undefined`, "an answer to "+emit)
		var got string
		if tab.Eval("answer", &got); got != want {
			t.Errorf("%s is answered %s, not %s", emit, got, want)
		}
	}
	shows := func(tab *browser.Tab, want string) {
		t.Helper()
		tab.WaitFor(fmt.Sprintf(`[...list.children].map(item => item.textContent).join("\n") === %q`, want), want)
	}
	ask(asha, `["stored"]`, `"chat message", "lobby", "hello"`)
	shows(ben, "Asha: hello")
	ask(asha, `[{"ok":false,"error":{"code":"not_joined","message":"enter the room first"}}]`, `"chat message", "tea", "anybody?"`)
	ask(asha, `[{"room":"tea"}]`, `"enter", "tea"`)
	ask(ben, `[{"room":"tea"}]`, `"enter", "tea"`)
	shows(asha, "Asha: hello\nBen is in tea")
	ask(asha, `[["Asha","Ben"]]`, `"who", "tea"`)
	asha.Eval(`{ socket.emit("typing", "tea"); null }`, nil)
	shows(ben, "Asha: hello\nAsha is typing")
	ask(asha, `[true]`, `"whisper", "ben", "psst"`)
	shows(ben, "Asha: hello\nAsha is typing\nAsha whispers: psst")
	ask(asha, `[{"ok":false,"error":{"code":"forbidden","message":"this takes the right to publish","right":"publish"}}]`, `"publish", { room: "lobby", data: 1 }`)

	// The connection breaks. Clients of before 4.6, which know of no recovery, enter again.
	ben.Eval(`{ socket.io.engine.close(); null }`, nil)
	ben.WaitFor("socket.connected", "the connection to be back")
	ask(ben, `[{"room":"tea"}]`, `"enter", "tea"`)
	ask(asha, `["stored"]`, `"chat message", "tea", "still there?"`)
	shows(ben, "Asha: hello\nAsha is typing\nAsha whispers: psst\nAsha: still there?")
	shows(enter("nobody"), "refused: log in first (unauthorized)")
}

// startApp runs the back end, and returns where it is.
func startApp(t *testing.T, node string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), node, "testdata/moving/app.mjs")
	cmd.Env = append(cmd.Environ(), env...)
	said := &strings.Builder{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said.Len() > 0 {
			t.Errorf("the app says %s", said)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the app does not start: %v", err)
	}
	return strings.TrimSpace(line)
}

// serveRelay runs a relay of its own in this process, until the test ends.
func serveRelay(t *testing.T, l net.Listener, environ ...string) {
	t.Helper()
	cfg, err := relay.LoadConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	b := broker.NewMemory(cfg.Limits())
	srv, err := relay.New(cfg, b, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: srv, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Shutdown(t.Context()) // which is done: at once
		_ = web.Close()
		<-served
		_ = b.Close(t.Context())
	})
}

// serveFrontEnd serves the page and a login before a relay.
func serveFrontEnd(t *testing.T, to string) (site string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("testdata/moving")))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "login", Value: r.URL.Query().Get("as"), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	})
	return serveBefore(t, to, mux)
}
