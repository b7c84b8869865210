package e2e_test

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

// Front ends that do what those of Socket.IO's own examples do, told anew: the comment at the head of each says how
// many lines are changed for Setu, and the chat marks them.
//
//go:embed testdata/apps
var apps embed.FS

// appSettings are what an application without a server needs: what its server's handlers would say.
var appSettings = map[string]string{
	"LOBBY":        "lobby",
	"LOBBY_EVENTS": "chat message,drawing=others,hello=others,new message=others,typing=volatile+others,stop typing=volatile+others",
}

// serveApps serves the pages of the applications before a relay.
func serveApps(t testing.TB, relay *cluster.Relay) (site string) {
	t.Helper()
	pages, err := fs.Sub(apps, "testdata/apps")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(pages))
	return serveBefore(t, relay.URL(), mux)
}

// serveBefore serves an application's front end and the official client, and passes the rest of /socket.io/ on to a
// relay, as the application's web server does.
func serveBefore(t testing.TB, relay string, mux *http.ServeMux) (site string) {
	t.Helper()
	library := javaScriptClient(t)
	target, err := url.Parse(relay)
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("/socket.io/socket.io.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(library)
	})
	mux.Handle("/socket.io/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// stage is two people's tabs, each at another relay.
type stage struct {
	*fleet
	asha, ben *browser.Tab
}

// texts is an expression for what the elements of a selector say, one a line.
func texts(selector string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].map(item => item.textContent).join("\n")`, selector)
}

// TestAppsWithoutAServer runs the front ends over two relays that have a lobby, and nothing else on the server's side.
func TestAppsWithoutAServer(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"ALLOWED_ORIGINS": "*", "LOBBY": appSettings["LOBBY"], "LOBBY_EVENTS": appSettings["LOBBY_EVENTS"]})
	b := browser.Start(t)
	sites := []string{serveApps(t, f.dublin), serveApps(t, f.tokyo)}
	open := func(t *testing.T, page, until string) *stage {
		s := &stage{fleet: f}
		for i, tab := range []**browser.Tab{&s.asha, &s.ben} {
			*tab = b.Tab(t, browser.Desktop)
			(*tab).OpenUntil(sites[i]+"/"+page, until, "the client")
		}
		return s
	}
	t.Run("chat", func(t *testing.T) { // first, while nobody else is in the lobby: it counts
		if n := changedLines(t, "chat.html"); n == 0 || n > 10 {
			t.Errorf("%d lines are changed", n)
		}
		open(t, "chat.html", "window.io").chat()
	})
	t.Run("get started", func(t *testing.T) {
		open(t, "get_started.html", "window.io && socket.connected").getStarted()
	})
	t.Run("whiteboard", func(t *testing.T) {
		open(t, "whiteboard.html", "window.io").draw()
	})
	t.Run("postgres adapter", func(t *testing.T) { greet(t, f, b, sites[0]) })
	t.Run("emitted while away", func(t *testing.T) {
		open(t, "get_started.html", "window.io && socket.connected").flush()
	})
}

// changedLines counts the lines of a page that are marked.
func changedLines(t *testing.T, page string) int {
	t.Helper()
	text, err := apps.ReadFile("testdata/apps/" + page)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "// changed\n")
}

// getStarted has both say something, which both hear in one order, each once, and who was away too.
func (s *stage) getStarted() {
	say := func(tab *browser.Tab, text string) {
		tab.Eval(fmt.Sprintf(`{ input.value = %q; document.getElementById("form").requestSubmit() }`, text), nil)
	}
	both := func(want string) {
		s.t.Helper()
		for _, tab := range []*browser.Tab{s.asha, s.ben} {
			tab.WaitFor(fmt.Sprintf("%s === %q", texts("#messages li"), want), "the messages "+want)
		}
	}
	say(s.asha, "hello")
	both("hello")
	say(s.ben, "hi")
	both("hello\nhi")
	// Away, and back: where the client knows of recovery it has what it missed, and what it emitted meanwhile arrives.
	s.ben.Eval(`{ socket.io.engine.close(); null }`, nil)
	s.ben.WaitFor("!socket.connected", "the connection to be gone")
	say(s.ben, "said while away")
	s.asha.WaitFor(texts("#messages li")+` === "hello\nhi\nsaid while away"`, "what was said while away")
	both("hello\nhi\nsaid while away")
}

// draw has one draw a line, which the other sees, and who draws it does not hear.
func (s *stage) draw() {
	const inked = `[...document.querySelector("canvas").getContext("2d").getImageData(100, 100, 100, 100).data].some(Boolean)`
	for _, tab := range []*browser.Tab{s.asha, s.ben} {
		var already bool
		if tab.Eval(inked, &already); already {
			s.t.Fatal("the board is not empty")
		}
	}
	s.asha.Eval(`{
		document.querySelector(".red").click()
		const at = (type, x, y) => document.querySelector("canvas").dispatchEvent(new MouseEvent(type, { clientX: x, clientY: y, bubbles: true }))
		// Again and again: whether the other is connected, this page doesn't tell, and nobody is sent what was drawn before.
		setInterval(() => { at("mousedown", 100, 100); at("mousemove", 150, 150); at("mouseup", 200, 200) }, 300); null
	}`, nil)
	s.ben.WaitFor(inked, "the line")
	var color []int
	s.ben.Eval(`[...document.querySelector("canvas").getContext("2d").getImageData(150, 150, 1, 1).data]`, &color)
	if len(color) != 4 || color[0] < 100 || color[1] != 0 || color[2] != 0 {
		s.t.Errorf("the line has the color %v", color)
	}
}

// greet has three clients, at two relays, greet one another.
func greet(t *testing.T, f *fleet, b *browser.Browser, site string) {
	tab := b.Tab(t, browser.Desktop)
	tab.OpenUntil(site+"/postgres_adapter.html?server="+f.dublin.Address()+"&server="+f.tokyo.Address(), "window.io", "the client")
	log := `document.getElementById("log").textContent`
	for i := range 3 {
		tab.WaitFor(fmt.Sprintf("%s.includes(`%d: received \"hello\"`)", log, i), "client's greetings")
	}
	var text string
	tab.Eval(log, &text)
	if strings.Contains(text, "error") || strings.Contains(text, "disconnected") || strings.Count(text, "connected as") != 3 {
		t.Error(text)
	}
}

// chat has people come, type, talk and leave.
func (s *stage) chat() {
	enter := func(tab *browser.Tab, name string) {
		tab.Eval(fmt.Sprintf(`{ usernameInput.value = %q; window.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" })) }`, name), nil)
	}
	shows := func(tab *browser.Tab, text string) {
		s.t.Helper()
		tab.WaitFor(fmt.Sprintf("%s.split(`\\n`).includes(%q)", texts(".messages li"), text), text)
	}
	enter(s.asha, "asha")
	shows(s.asha, "there's 1 participant")
	enter(s.ben, "ben")
	shows(s.ben, "there are 2 participants")
	shows(s.asha, "ben joined")
	shows(s.asha, "there are 2 participants")
	s.ben.Eval(`{ inputMessage.value = "hello"; inputMessage.dispatchEvent(new Event("input")) }`, nil)
	shows(s.asha, "ben: is typing")
	s.ben.Eval(`window.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }))`, nil)
	shows(s.asha, "ben: hello")
	s.asha.WaitFor(`!document.querySelector(".typing")`, "ben to have stopped typing")
	var heard string
	if s.ben.Eval(texts(".message"), &heard); heard != "ben: hello" {
		s.t.Errorf("ben sees %q", heard)
	}
	s.ben.Open("about:blank")
	shows(s.asha, "ben left")
	shows(s.asha, "there's 1 participant")
}

// flush has a stock client emit publishes while it is away. It sends them as soon as it is connected again, before its
// application can join: they reach a room that its CONNECT names, and no other.
func (s *stage) flush() {
	s.asha.Eval(`new Promise(done => {
		window.listener = io({ forceNew: true, auth: { rooms: ["named"] } })
		window.heard = []
		listener.on("message", message => heard.push(message.data))
		listener.on("welcome", () => done())
	})`, nil)
	var answers []struct {
		OK    bool
		Error struct{ Code string }
	}
	s.ben.Eval(`new Promise(done => {
		const client = io({ forceNew: true, auth: { rooms: ["named"] }, reconnectionDelay: 100 })
		const publish = room => new Promise(answer => client.emit("publish", { room, data: "said while away" }, answer))
		client.once("disconnect", () => {
			Promise.all([publish("named"), publish("joined too late")]).then(done)
			client.once("welcome", () => client.emit("join", "joined too late"))
		})
		client.once("welcome", () => client.io.engine.close())
	})`, &answers)
	if len(answers) != 2 || !answers[0].OK || answers[1].OK || answers[1].Error.Code != "not_joined" {
		s.t.Errorf("%+v", answers)
	}
	s.asha.WaitFor(`heard.join() === "said while away"`, "what was said while away")
}
