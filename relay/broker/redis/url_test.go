package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, ca, want string }{
		"no url":       {"", "", "redis"},
		"other scheme": {"http://localhost", "", "scheme"},
		"CA, no TLS":   {"redis://localhost", "x", "rediss://"},
		"no CA":        {"rediss://localhost", "x", "PEM"},
	} {
		b, err := redis.Open(redis.Config{URL: c.url, CA: c.ca}, testLog(t))
		if err == nil {
			b.Close(t.Context())
			t.Errorf("%s: accepted", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", name, err, c.want)
		}
	}
}

// password is what no error may hold; what a row writes as PW stands for it.
const password = "s3cr3t"

// A URL that cannot be used says what is wrong with it, and keeps its password to itself.
func TestURLRefused(t *testing.T) {
	for url, want := range map[string]string{
		"redis://u:PW/x@h:6379/0":        "escaped",
		"redis://u:PW?x@h:6379/0":        "escaped",
		"redis://u:PW#x@h:6379/0":        "escaped",
		"redis://u:PW[x@h:6379/0":        "escaped",
		"redis://u:PW]x@h:6379/0":        "escaped",
		"redis://u:PW%x@h:6379/0":        "escaped",
		"redis://u:PW%zz@h:6379/0":       "escaped",
		"redis://u:PW x@h:6379/0":        "escaped",
		"redis://u:PW\u00e4@h:6379/0":    "escaped",
		"redis://u:1/PW@h:6379":          "escaped", // 1 could be a port
		"redis://u:1?PW@h:6379":          "escaped",
		"redis://u:1#PW@h:6379":          "escaped",
		"redis://u:x@1?PW@h:6379":        "escaped",
		"redis://u:x@1#PW":               "escaped",
		"redis://:1/PW@h:6379":           "escaped",
		"redis://u:PW\nx@h:6379":         "line break",
		"redis://u:PW\x00@h:6379":        "control character",
		"redis://u:PW@h:port":            "port",
		"unix://":                        "path of the socket",
		"unix:///":                       "path of the socket",
		"redis://u:PW@h:0":               "port",
		"redis://u:PW@h:65536":           "port",
		"redis://:PW":                    "port", // no host
		"redis://u:PW@::1:6379":          "IPv6",
		"redis://u:PW@[::1:6379":         "IPv6",
		"redis://u:PW@h:6379/x":          "database",
		"redis://u:PW@h:6379/-1":         "database",
		"redis://u:PW@h:6379/1/2":        "database",
		"redis://u:PW@h:6379?db=x":       "option",
		"redis://u:PW@h:6379?db=-1":      "database",
		"redis://h:6379?dial_timeout=PW": "option",
		"redis://h:6379/PW":              "database",
		"http://u:PW@h:6379":             "scheme",
		"PW://u@h:6379":                  "scheme",
		"u:PW@h:6379":                    "scheme",
		"PW@h:6379":                      "scheme",
		"redis:u:PW@h:6379":              "scheme",
		"://u:PW@h:6379":                 "scheme",
		`"redis://u:PW@h:6379"`:          "scheme",
		"REDIS_URL=redis://u:PW@h:6379":  "scheme",
	} {
		b, err := redis.Open(redis.Config{URL: strings.ReplaceAll(url, "PW", password)}, testLog(t))
		if err == nil {
			b.Close(t.Context())
			t.Errorf("%q: accepted", url)
			continue
		}
		said := fmt.Sprintf("%v %+v %#v", err, err, err)
		if !strings.Contains(err.Error(), want) || strings.Contains(said, password) {
			t.Errorf("%q: %s; want %q, and no password", url, said, want)
		}
	}
}

func TestURL(t *testing.T) {
	for url, want := range map[string]string{
		"redis://h":                                   "h:6379 ::0",
		"redis://h:7000/":                             "h:7000 ::0",
		" redis://h:7000/3\r\n":                       "h:7000 ::3",
		"redis://h:7000/3/":                           "h:7000 ::3",
		"redis://h?db=4":                              "h:6379 ::4",
		"REDIS://u:s3cr3t@h":                          "h:6379 u:s3cr3t:0",
		"valkeys://:s3cr3t@[::1]:7000/12":             "[::1]:7000 :s3cr3t:12",
		"redis://u:a@b@h":                             "h:6379 u:a@b:0",
		"redis://u:a%2Fb%3Fc%23d%5B%5D%25%40%20@h/1":  "h:6379 u:a/b?c#d[]%@ :1",
		"rediss://u:s3cr3t@h:1/0?client_name=a%40b":   "h:1 u:s3cr3t:0",
		"redis://u:s3cr3t@h?dial_timeout=1s&custom=1": "h:6379 u:s3cr3t:0",
	} {
		opt, err := redis.ParseURL(url)
		got := fmt.Sprintf("%s %s:%s:%d", strings.Join(opt.InitAddress, ","), opt.Username, opt.Password, opt.SelectDB)
		if err != nil || got != want {
			t.Errorf("%q reads as %s, %v; want %s", url, got, err, want)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("redis://u:", "/x@h:6379/0")
	f.Add("redis://u:1/", "@h")
	f.Add("", "\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		const password = "pa55word"
		text := before + password + after
		if _, err := redis.ParseURL(text); err != nil && strings.Contains(err.Error(), password) &&
			!strings.HasSuffix(strings.TrimSpace(before), "@") && strings.Contains(text, "@") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// What Redis answers, and the way to it, is logged, and neither holds the password.
func TestPasswordNotLogged(t *testing.T) {
	t.Parallel()
	old := ownServer(t, "--rename-command", "AUTH", "", "--rename-command", "HELLO", "") // it repeats what it does not know
	guarded := ownServer(t)
	guarded.do(t, "CONFIG SET requirepass another")
	for name, address := range map[string]string{"old": old.addr, "guarded": guarded.addr, "nobody there": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			log := &wiretest.Log{}
			b := openRedis(t, redis.Config{URL: "redis://u:" + password + "@" + address, Limits: broker.Limits{History: 1}}, newLog(log))
			eventually(t, "refused", func() bool { return strings.Contains(log.String(), "cannot subscribe") })
			b.Close(t.Context())
			if said := log.String() + fmt.Sprint(b.Ready()); strings.Contains(said, password) {
				t.Errorf("said:\n%s", said)
			}
		})
	}
}

// Two databases of one Redis are two fleets, though they share its channels.
func TestDatabases(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	at := func(path string) (*redis.Broker, *counter) {
		cfg := config(s)
		cfg.URL += path
		b, c := open(t, cfg), &counter{}
		stop, err := b.Subscribe(t.Context(), "a", c, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return b, c
	}
	zero, heardZero := at("")
	same, heardSame := at("/0")
	one, heardOne := at("/1")
	for i := range 3 {
		publish(t, zero, "a", fmt.Sprint("zero ", i))
	}
	publish(t, one, "a", "one")
	zero.Signal("a", "s", "x")
	if n, err := zero.Enter(t.Context(), "a", broker.User{ID: "ann"}); n != 1 || err != nil {
		t.Errorf("ann enters: %d, %v", n, err)
	}
	eventually(t, "heard", func() bool {
		return heardZero.n.Load() == 3 && heardSame.n.Load() == 3 && heardOne.n.Load() == 1 &&
			heardSame.signals.Load() == 1 && heardSame.changes.Load() == 1
	})
	// A round trip on each subscription: what was to come has come.
	for _, b := range []*redis.Broker{zero, same, one} {
		at := publish(t, b, "elsewhere", fmt.Sprintf("%p", b)).Offset
		if err := b.Reach(t.Context(), at); err != nil {
			t.Error(err)
		}
	}
	if n, m := heardOne.signals.Load(), heardOne.changes.Load(); n+m != 0 || heardOne.n.Load() != 1 {
		t.Errorf("database 1 heard %d messages, %d signals and %d changes", heardOne.n.Load(), n, m)
	}
	if _, n, err := one.Members(t.Context(), "a", 10); n != 0 || err != nil {
		t.Errorf("database 1 has %d members, %v", n, err)
	}
	if got := strings.Fields(s.do(t, "PUBSUB CHANNELS *:room:a")); len(got) != 2 ||
		!slices.Contains(got, "setu{0}:room:a") || !slices.Contains(got, "setu{0}:db1:room:a") {
		t.Errorf("channels: %q", got)
	}
}
