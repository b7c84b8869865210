package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"setu/e2e/browser"
	"setu/e2e/cluster"
	"setu/e2e/nemesis"
	"setu/e2e/secrets"
	"setu/relay/wiretest"
)

const hookSecret = "whsec_aG9vay1ob29rLWhvb2staG9vay1ob29rLWhvb2s="

// chatApp is the back end of a chat: a function behind HTTP. It knows its users by a cookie or, without one, by
// what they call themselves.
func chatApp(t *testing.T) (url string) {
	verify, err := webhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct {
			Type, Event string
			User        struct{ ID, Name string }
			Auth        struct{ Name string }
			Headers     map[string]string
			Query       map[string]string
			Args        []json.RawMessage
		}
		if err := json.Unmarshal(body, &q); err != nil || verify.Verify(body, r.Header) != nil {
			t.Errorf("%s: %v", body, err)
		}
		switch {
		case q.Type == "connect" && q.Query["tenant"] != "t1":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"code":"tenant","message":"whose chat?"}`)
		case q.Type == "connect":
			name := q.Auth.Name
			if cookie, ok := strings.CutPrefix(q.Headers["cookie"], "user="); ok {
				name = cookie
			}
			fmt.Fprintf(w, `{"user":{"id":%q,"name":%q},"rooms":["chat"],"rights":{"chat":["join"]}}`, "id-of-"+name, name)
		case q.Event == "chat message":
			fmt.Fprintf(w, `{"ack":[{"ok":true}],"emit":[{"room":"chat","event":"chat message","args":[%q,%s],"stored":true}]}`, q.User.Name, q.Args[0])
		case q.Event == "echo":
			fmt.Fprintf(w, `{"ack":[%s]}`, q.Args[0])
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"code":"no","message":"not this"}`)
		}
	}))
	t.Cleanup(app.Close)
	return app.URL + "/hook?key=a-secret-in-the-path-of-the-app"
}

// Stock clients, over two relays, of an app whose handlers are behind HTTP: what one says with an ack the app
// answers, and all hear it.
func TestStockClientsOfAnApp(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	secrets.Plant("the secret of hooks", hookSecret[len("whsec_"):])
	secrets.Plant("a secret of the app's address", "a-secret-in-the-path-of-the-app")
	secrets.Plant("a cookie", "user=asha-the-first-of-all")
	site := serveStock(t)
	redis := cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{})
	var urls []string
	for _, name := range []string{"dublin", "oslo"} {
		r := nemesis.StartRelay(t, name, wiretest.NewLink(t, redis.Address()), "HOOK_URL="+chatApp(t), "HOOK_SECRET="+hookSecret, "HOOK_NETWORK=any",
			"HOOK_HEADERS=cookie", "LOG_LEVEL=debug", "ALLOWED_ORIGINS="+site)
		urls = append(urls, r.URL())
	}
	for _, transport := range []string{"websocket", "polling"} {
		var got struct {
			Ack     struct{ OK bool }
			Echo    string
			Refused struct {
				OK    bool
				Error struct{ Code, Message string }
			}
			Heard map[string][][]string
		}
		startScript(t, "testdata/stock_hooks.py").do(map[string]any{"urls": urls, "cookie": "user=asha-the-first-of-all", "transport": transport}, &got)
		if !got.Ack.OK || got.Echo != "00ff" || got.Refused.OK || got.Refused.Error.Code != "no" || len(got.Heard) != 2 {
			t.Errorf("%s: %+v", transport, got)
		}
		for who, heard := range got.Heard { // name, text, offset
			if len(heard) != 1 || len(heard[0]) != 3 || heard[0][0] != "asha-the-first-of-all" || heard[0][1] != "hello" {
				t.Errorf("%s: %s heard %q", transport, who, heard)
			}
		}
	}
	tab := openStock(t, browser.Start(t), site)
	var got struct {
		Ack     struct{ OK bool }
		Echo    []byte
		Heard   []string
		Refused struct {
			Message string
			Data    struct{ Code string }
		}
	}
	tab.Eval(fmt.Sprintf(`(async () => {
		const options = { auth: { name: "ben" }, query: { tenant: "t1" }, forceNew: true }
		const [first, second] = [io(%q, options), io(%q, options)]
		await Promise.all([first, second].map(socket => new Promise(done => socket.on("joined", done))))
		const heard = new Promise(done => second.on("chat message", (...args) => done(args)))
		const ask = (...args) => new Promise(done => first.emit(...args, done))
		const ack = await ask("chat message", "hello")
		const echo = await ask("echo", new Uint8Array([0, 255]))
		const other = io(%q, { forceNew: true })
		const refused = await new Promise(done => other.on("connect_error", e => done({ message: e.message, data: e.data })))
		const out = { ack, echo: btoa(String.fromCharCode(...new Uint8Array(echo))), heard: (await heard).slice(0, 2), refused }
		for (const socket of [first, second, other]) socket.disconnect()
		return out
	})()`, urls[0], urls[1], urls[0]), &got)
	if !got.Ack.OK || string(got.Echo) != "\x00\xff" || fmt.Sprint(got.Heard) != "[ben hello]" || got.Refused.Data.Code != "tenant" || got.Refused.Message != "whose chat?" {
		t.Errorf("%+v", got)
	}
}
