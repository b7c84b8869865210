package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/nemesis"
	"setu/e2e/secrets"
	"setu/relay"
	"setu/relay/auth"
	"setu/relay/wiretest"
)

// What is secret, wherever a client puts it, stands in no log, metric, answer to another, or error. (What
// every relay of every test writes is searched for the secrets of its clients, too.)
func TestSecretsAreNotWritten(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	const password, key = "the-password-of-redis", "a-secret-of-32-bytes-that-signs-tokens"
	const apiKey = "a-key-of-the-server-api-that-nobody-sees"
	secrets.Plant("a key of the server API", apiKey)
	secrets.Plant("Redis' password", password)
	secrets.Plant("a secret", key)
	secrets.Plant("the secret of hooks", hookSecret[len("whsec_"):])
	app := "http://127.0.0.1:1/hook?key=" + key // nobody is there
	redis := cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{Password: password})
	u, err := url.Parse(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	link := wiretest.NewLink(t, redis.Address())
	u.Host = link.Address()
	metrics := freePort(t)
	r := nemesis.StartRelay(t, "dublin", link, "REDIS_URL="+u.String(), "AUTH=optional", "AUTH_SECRET="+key, "GUEST_ROOMS=*:join,publish,history",
		"HOOK_URL="+app, "HOOK_SECRET="+hookSecret, "HOOK_NETWORK=any", "HOOK_EVENTS=event", "API_KEYS=app:"+apiKey+":publish",
		"LOG_LEVEL=debug", "METRICS_HOST=127.0.0.1", "METRICS_PORT="+metrics)
	d := &wiretest.Dialer{T: t, New: func() net.Conn {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(r.URL(), "http://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}}
	other := client.Connect(t, client.Options{Name: "other", History: judge.Record(t, judge.Rules{Kept: 10}), Relays: []string{r.WS()}})
	other.Join("lobby", client.JoinOptions{})
	watched := d.Open()
	watched.Connect("{}")
	watched.Call("join", `{"room":"lobby"}`)

	cfg, err := relay.LoadConfig([]string{"AUTH_SECRET=" + key})
	if err != nil {
		t.Fatal(err)
	}
	mint := func(user string, ttl time.Duration) string {
		rooms, _ := auth.ParseRooms("*:join,publish")
		token, err := cfg.Auth().Mint(auth.Grant{UserID: user, Expires: time.Now().Add(ttl), Rooms: rooms})
		if err != nil {
			t.Fatal(err)
		}
		secrets.Plant("a token", token)
		secrets.Plant("a token's signature", token[strings.LastIndexByte(token, '.')+1:])
		return token
	}
	var answers strings.Builder
	token, guest := mint("asha", time.Hour), "a-guest's-own-key-0123"
	secrets.Plant("a guest's key", guest)
	connectWith(d, &answers, token, guest)
	for range 20 { // until the log says that nobody is there
		watched.Call("secret", `"`+token+`"`)
	}
	requestWith(d, &answers, token, guest, apiKey)
	watched.Call("ping", "{}")
	fmt.Fprintln(&answers, watched.Held)
	fmt.Fprintln(&answers, get(t, "http://127.0.0.1:"+metrics+"/metrics"))

	startWrongly(t, &answers, password, key, apiKey, redis.Address())
	if found := secrets.In(answers.String()); len(found) > 0 {
		t.Errorf("told: %q", found)
	}
	if !strings.Contains(r.Log(), "a session ended") || !strings.Contains(r.Log(), "the app at HOOK_URL does not answer") || !strings.Contains(answers.String(), "setu_refusals_total") {
		t.Errorf("nothing was searched:\n%s\n%s", r.Log(), answers.String())
	}
}

// connectWith sends secrets where a packet has room for one.
func connectWith(d *wiretest.Dialer, answers io.Writer, token, guest string) {
	tell := func(packets ...string) {
		p := d.Open()
		p.Packet()
		p.Text(packets...)
		for range packets {
			fmt.Fprintln(answers, p.Packet())
		}
		_ = p.Conn.Close()
	}
	tell(`40{"token":"` + token + `x"}`)
	tell(`40{"token":"` + strings.ToUpper(token) + `"}`)
	tell(`40{"token":{"` + token + `":1}}`)
	tell(`40{"key":"` + guest + `\u0000"}`)
	tell(`40{"name":"x","key":"`+guest+`"}`, `421["token",{"token":"`+token+`"}]`)
	tell(`40{"pid":"`+token+`","offset":"`+token+`"}`, `421["join",{"room":"lobby","since":"`+guest+`"}]`, `42["`+token+`",{}]`)
}

// requestWith sends secrets where a request has room for one.
func requestWith(d *wiretest.Dialer, answers io.Writer, token, guest, apiKey string) {
	for _, path := range []string{"/socket.io/?EIO=4&transport=polling&sid=" + token, "/socket.io/?EIO=4&transport=websocket&sid=" + guest, "/socket.io/" + token + "?EIO=4&transport=polling",
		"/socket.io/?EIO=" + token + "&transport=polling", "/" + token, "/readyz?" + token} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			_, body := d.Request(method, path, http.Header{"Origin": {"https://elsewhere.example"}, "Authorization": {"Bearer " + token}, "Cookie": {"token=" + token}})
			fmt.Fprintln(answers, body)
		}
	}
	for _, header := range []string{"Bearer " + apiKey, "Bearer " + apiKey + "x", "Basic " + apiKey, apiKey, "Bearer " + token} {
		for _, path := range []string{"rooms/lobby/messages", "rooms?key=" + apiKey, "rooms/" + apiKey + "/messages?limit=x", "users/a/disconnect", apiKey, "openapi.json", ""} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				_, body := d.Request(method, "/api/v1/"+path, http.Header{"Authorization": {header}, "Idempotency-Key": {"x"}})
				fmt.Fprintln(answers, body)
			}
		}
	}
}

// startWrongly starts relays with settings that stop them, each of which holds a secret.
func startWrongly(t *testing.T, answers io.Writer, password, key, apiKey, redis string) {
	t.Helper()
	// A relay that Redis does not let in says so, without the word that it said.
	bad := nemesis.Try(t, "REDIS_URL=redis://:"+password+"-not@"+redis, "LOG_LEVEL=debug")
	fmt.Fprintln(answers, bad)
	for _, setting := range []string{"AUTH_SECRET=short-" + password[:12], "REDIS_URL=redis://u:" + password + "@[::", "AUTH_PUBLIC_KEY=" + key,
		"API_KEYS=app:" + password + ":publish", "API_KEYS=" + apiKey, "API_KEYS=app:" + apiKey + ":all",
		"AUTH_JWKS_URL=http://u:" + password + "@example.com", "PRIVATE_URL=http://u:" + password + "@example.com",
		"HOOK_URL=http://127.0.0.1/?" + key, "HOOK_URL=https://u:" + password + "@example.com", "HOOK_SECRET=" + hookSecret} {
		said := nemesis.Try(t, setting)
		if name, _, _ := strings.Cut(setting, "="); !strings.Contains(said, name) {
			t.Errorf("%s: %s", name, said)
		}
		fmt.Fprintln(answers, said)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	address, release, err := wiretest.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	_, port, _ := net.SplitHostPort(address)
	return port
}

func get(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
