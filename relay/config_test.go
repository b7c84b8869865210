package relay

import (
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/engine"
	"setu/relay/forward"
	"setu/relay/limit"
)

func perSecond(n, burst int) limit.Rate { return limit.Rate{Events: n, Per: time.Second, Burst: burst} }

func TestDefaults(t *testing.T) {
	c, err := LoadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.RelayID) != 8 || c.RelayID != strings.ToLower(c.RelayID) {
		t.Errorf("made-up relay id %q", c.RelayID)
	}
	if engine.NodeOf("sid."+c.Node) != c.Node {
		t.Errorf("made-up node %q", c.Node)
	}
	c.RelayID, c.Node = "", ""
	want := Config{Port: 8080, RedisPrefix: "setu", HistoryLimit: 256, HistoryTTL: 24 * time.Hour, RecoveryTTL: time.Hour, Reactions: 1000, ReactionKinds: 20, Forward: "auto", PresenceLease: 15 * time.Second,
		PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, ConnectTimeout: 45 * time.Second, MaxPayload: 1_000_000, OutboxBytes: 4 << 20, MaxConnections: 10_000,
		AuthMaxTTL: 720 * time.Hour, RequestTimeout: 45 * time.Second, DrainTimeout: 20 * time.Second, LogFormat: "text",
		PublishRate: perSecond(100, 200), SignalRate: perSecond(100, 200), JoinRate: perSecond(20, 250), HistoryRate: perSecond(10, 50),
		EventRate: perSecond(50, 250), BytesRate: perSecond(256<<10, 4<<20), UserPublishRate: perSecond(200, 400),
		UserSignalRate: perSecond(200, 400), UserJoinRate: perSecond(100, 1000), UserHistoryRate: perSecond(20, 200),
		MaxRooms: 200, MaxUserConnections: 100, MaxAddressConnections: 1000, MaxUnconnected: 4000,
		HandshakeRate: perSecond(100, 1000), HandshakesRate: perSecond(1000, 5000),
		HookEvents: []string{"connect", "event"}, HookTimeout: 2 * time.Second, HookConcurrency: 64, HookQueue: 1000, HookAnswerBytes: 262144, HookNetwork: "public",
		HookGrace: 10 * time.Second, HookKeep: time.Hour, APIRate: perSecond(1000, 2000)}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v", c)
	}
	other, _ := LoadConfig(nil)
	if other.RelayID == c.RelayID {
		t.Error("two relays have one made-up id")
	}
	if l := c.Limits(); l.History != 256 || l.TTL != 24*time.Hour {
		t.Error(l)
	}
}

func TestFlyDefaults(t *testing.T) {
	fly := []string{"FLY_REGION=fra", "FLY_MACHINE_ID=148e"}
	if c, err := LoadConfig(fly); err != nil || c.Region != "fra" || c.RelayID != "148e" {
		t.Error(c.Region, c.RelayID, err)
	}
	if c, err := LoadConfig(append(fly, "REGION=home", "RELAY_ID=mine")); err != nil || c.Region != "home" || c.RelayID != "mine" {
		t.Error(c.Region, c.RelayID, err)
	}
	if c, err := LoadConfig(append(fly, "REGION=", "RELAY_ID=", "PORT=", "PING_INTERVAL=")); err != nil || c.Region != "fra" || c.Port != 8080 {
		t.Error("set but empty is not set: ", c.Region, c.Port, err)
	}
}

func TestGoodSettings(t *testing.T) {
	c, err := LoadConfig([]string{"HOST=::1", "PORT=1", "HISTORY_LIMIT=10000", "HISTORY_TTL=1s", "PRESENCE_LEASE=1h", "PING_INTERVAL=10ms", "PING_TIMEOUT=1h",
		"MAX_PAYLOAD=1000", "OUTBOX_BYTES=65536", "MAX_CONNECTIONS=1", "DRAIN_TIMEOUT=0s", "LOG_LEVEL=WARN", "LOG_FORMAT=json",
		"ALLOWED_ORIGINS=https://a.example, http://b.example:8080/,*", "REDIS_URL=redis://h", "REDIS_PREFIX=x:y", "PRIVATE_URL=http://relay_1:8080/"})
	if err != nil {
		t.Fatal(err)
	}
	if c.LogLevel != slog.LevelWarn || !reflect.DeepEqual(c.AllowedOrigins, []string{"https://a.example", "http://b.example:8080/", "*"}) {
		t.Errorf("%+v", c)
	}
	if !c.Logger().Enabled(t.Context(), slog.LevelWarn) || c.Logger().Enabled(t.Context(), slog.LevelInfo) {
		t.Error("level")
	}
}

// Browsers write a host in ASCII, whatever its script.
func TestSitesInOtherScripts(t *testing.T) {
	for given, want := range map[string]string{
		"https://bücher.example": "https://xn--bcher-kva.example", "https://BÜCHER.example:8443/": "https://xn--bcher-kva.example:8443",
		"https://*.bücher.example": "https://*.xn--bcher-kva.example", "http://пример。рф": "http://xn--e1afmkfd.xn--p1ai",
		"https://straße.example": "https://xn--strae-oqa.example", "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
		"https://r3---a.bücher.example": "https://r3---a.xn--bcher-kva.example",
	} {
		c, err := LoadConfig([]string{"EMBED_ORIGINS=https://a.example, " + given, "ALLOWED_ORIGINS=https://a.example, " + given})
		if err != nil {
			t.Error(err)
			continue
		}
		if c.EmbedOrigins[1] != want || strings.TrimSuffix(c.AllowedOrigins[1], "/") != want {
			t.Errorf("%s: %q may embed, %q may connect, want %s", given, c.EmbedOrigins, c.AllowedOrigins, want)
		}
	}
	const not = "https://a\u202eb.example"
	for _, name := range []string{"EMBED_ORIGINS", "ALLOWED_ORIGINS"} {
		for _, s := range []string{not, "https://bücher.example/path", "https://u@bücher.example", "https://*.рф", "https://bü..example", "https://bü cher.example"} {
			if _, err := LoadConfig([]string{name + "=" + s}); err == nil {
				t.Errorf("%s takes %q", name, s)
			}
		}
		if _, err := LoadConfig([]string{name + "=" + not}); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "as browsers write it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadSettings(t *testing.T) {
	bad := map[string][]string{
		"PORT":            {"0", "65536", "-1", "http", "80.5", "99999999999999999999"},
		"METRICS_PORT":    {"65536", "-1", "http", "8080"},
		"HISTORY_LIMIT":   {"0", "10001", "many"},
		"HISTORY_TTL":     {"0s", "999ms", "8761h", "24", "a day"},
		"PRESENCE_LEASE":  {"0s", "2h", "x"},
		"PING_INTERVAL":   {"9ms", "61m", "25"},
		"PING_TIMEOUT":    {"0s", "2h", "x"},
		"MAX_PAYLOAD":     {"999", "67108865", "1MB"},
		"OUTBOX_BYTES":    {"65535", "1073841825", "4M"},
		"MAX_CONNECTIONS": {"0", "-5", "all"},
		"DRAIN_TIMEOUT":   {"-1s", "6m", "20"},
		"LOG_LEVEL":       {"loud", "-"},
		"LOG_FORMAT":      {"xml", "JSON"},
		"REDIS_PREFIX":    {"{a}", "a}"},
		"RECOVERY_TTL":    {"0s", "8761h", "1"},
		"CONNECT_TIMEOUT": {"9ms", "2h", "x"},
		"FORWARD":         {"fly", "Proxy", "proxy,off"},
		"AUTH":            {"on", "Open", "required", "optional"},
		"AUTH_MAX_TTL":    {"59s", "8761h", "30d"},
		"GUEST_ROOMS":     {"lobby", "lobby:admin", "a*b:join", "{"},
		"HOOK_TIMEOUT":    {"9ms", "31s", "2"},
		"HOOK_NETWORK":    {"private", "10.0.0.0/8"},
		"HOOK_EVENTS":     {"message", "connect,online", "connect,event,event", "Connect"},
		"HOOK_HEADERS":    {"a b", "cookie,a:b", strings.Repeat("a,", 16) + "a"},
		"PRIVATE_URL":     {"10.0.0.7:8080", "tcp://10.0.0.7:8080", "http://10.0.0.7:8080/relay", "http://u@10.0.0.7", "http://*.example.com", "*", "null"},
		"EMBED_ORIGINS":   {"*", "null", "https://*.com", "capacitor://localhost", "example.com", "https://a.example/path", "https://a.example,file://"},
		"TRUSTED_PROXIES": {"10.0.0.0/33", "lb.example", "10.0.0.0/8,0.0.0.0/0", "1.2.3.4/0", "::/0", "::ffff:0:0/96"},
		"BYTES_RATE":      {"fast", "1/d", "262144/s:3999999", "1000000/s"},
		"ALLOWED_ORIGINS": {"https://*.com", "https://*", "http://", "wss://a.example", "https://a.example,null://", "example.com", "ftp://a.example", "https://", "https://a.example/path", "https://a.example?x", "https://u@a.example", "https://a.example,nonsense"},
	}
	for name, values := range bad {
		for _, v := range values {
			_, err := LoadConfig(append(needed(name), name+"="+v))
			if err == nil {
				t.Errorf("%s takes %q", name, v)
				continue
			}
			got := v[strings.LastIndex(v, ",")+1:]
			var help string
			for _, s := range Settings() {
				if s.Name == name {
					help = s.Help
				}
			}
			text := err.Error()
			if d, e := time.ParseDuration(got); e == nil && got != "0" {
				got = d.String() // as the check prints it
			}
			if !strings.HasPrefix(text, name+" is ") || !strings.Contains(text, got) || help == "" || !strings.Contains(text, help) || strings.Contains(text, "\n") {
				t.Errorf("%s=%s: %s", name, v, text)
			}
		}
	}
	_, err := LoadConfig([]string{"PORT=x", "PING_INTERVAL=y"})
	if err == nil || !strings.Contains(err.Error(), "PORT is ") || !strings.Contains(err.Error(), "PING_INTERVAL is ") {
		t.Error("all that is bad is named at once: ", err)
	}
	if _, err := LoadConfig([]string{"PORT=0", "LOG_FORMAT=x"}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Error(err)
	}
	_, err = LoadConfig([]string{"ALLOWED_ORIGINS=https://a.example/path"})
	if err == nil || !strings.HasSuffix(err.Error(), " (an origin has a scheme, a host and a port, and nothing else)") {
		t.Error("it says why: ", err)
	}
	if _, err := New(Config{}, nil, nil); err == nil {
		t.Error("New takes a config that was not checked")
	}
}

// A setting takes all that its bounds allow, and nothing beyond; help says the same.
func TestBounds(t *testing.T) {
	beyond := func(bound string, by int64) string {
		if n, err := strconv.ParseInt(bound, 10, 64); err == nil {
			return strconv.FormatInt(n+by, 10)
		}
		d, err := time.ParseDuration(bound)
		if err != nil {
			t.Fatal(bound, err)
		}
		return (d + time.Duration(by)).String()
	}
	bounds := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name, text := f.Tag.Get("env"), help(f)
		for tag, by := range map[string]int64{"min": -1, "max": 1} {
			bound := f.Tag.Get(tag)
			if bound == "" {
				continue
			}
			bounds++
			if _, err := LoadConfig(append(needed(name), name+"="+bound)); err != nil {
				t.Error(err)
			}
			if _, err := LoadConfig(append(needed(name), name+"="+beyond(bound, by))); err == nil {
				t.Errorf("%s takes %s", name, beyond(bound, by))
			}
			if !strings.Contains(text, bound) {
				t.Errorf("%s: %q does not say %s", name, text, bound)
			}
		}
		for _, word := range choices(f.Tag) {
			if _, err := LoadConfig(append(needed(name), name+"="+word, testSecret)); err != nil || !strings.Contains(text, word) {
				t.Errorf("%q, %v", text, err)
			}
		}
	}
	if bounds != 53 {
		t.Errorf("%d bounds", bounds)
	}
	for _, mode := range []string{forward.Auto, forward.Proxy, forward.Replay, forward.Off} {
		if c, err := LoadConfig([]string{"FORWARD=" + mode}); err != nil || c.forward().Mode != mode {
			t.Error(mode, err)
		}
	}
}

// needed are the settings with which the named one means something, if it takes any.
func needed(name string) []string {
	if strings.HasPrefix(name, "HOOK_") {
		return []string{"HOOK_URL=https://app.example/hook", "HOOK_SECRET=" + hookSecret}
	}
	return []string{map[string]string{"REDIS_PREFIX": "REDIS_URL=redis://h", "AUTH_MAX_TTL": testSecret}[name]}
}

const hookSecret = "whsec_c2V0dS1zZXR1LXNldHUtc2V0dS1zZXR1LXNldHU="

// A burst of BYTES_RATE holds half of what may be read past of a message, so that twice that holds all:
// by default it does, whatever MAX_PAYLOAD is.
func TestBytesBurstFollowsMaxPayload(t *testing.T) {
	for most, want := range map[string]int{"1000": 4 << 20, "1048576": 4 << 20, "1048577": 4<<20 + 4, "5000000": 20_000_000} {
		if c := settings(t, "MAX_PAYLOAD="+most); c.BytesRate != perSecond(256<<10, want) {
			t.Errorf("%s: %v", most, c.BytesRate)
		}
	}
	settings(t, "MAX_PAYLOAD=2000", "BYTES_RATE=1/s:8000")
	settings(t, "BYTES_RATE=off")
	_, err := LoadConfig([]string{"MAX_PAYLOAD=5000000", "BYTES_RATE=262144/s:4194304"})
	if err == nil || !strings.HasSuffix(err.Error(), " (with a MAX_PAYLOAD of 5000000 its burst, after the colon, is at least 20000000)") {
		t.Error(err)
	}
}

// What is told to clients, or begins keys, is text of a bounded length.
func TestBadTexts(t *testing.T) {
	for name, others := range map[string]string{"RELAY_ID": "", "REGION": "", "REDIS_PREFIX": "REDIS_URL=redis://h", "AUTH_ISSUER": testSecret, "AUTH_AUDIENCE": testSecret} {
		for _, v := range []string{"a\nb", "a\x00", "\x7f", "\xff", "a\u0085b", strings.Repeat("x", 1025)} {
			_, err := LoadConfig([]string{name + "=" + v, others})
			if err == nil || !strings.HasPrefix(err.Error(), name+" is ") || !strings.Contains(err.Error(), "without control characters") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s=%.20q: %v", name, v, err)
			}
		}
	}
	long := strings.Repeat("ä", 64)
	if c := settings(t, "RELAY_ID="+long, "REGION="+long); c.RelayID != long || c.Region != long {
		t.Error(c.RelayID, c.Region)
	}
	for _, name := range []string{"RELAY_ID", "FLY_MACHINE_ID", "REGION", "FLY_REGION"} {
		if _, err := LoadConfig([]string{name + "=x" + long}); err == nil {
			t.Errorf("%s takes 129 bytes", name)
		}
	}
}

// A setting that means nothing without another stops the start: without that one the relay is open, or
// alone, as nobody who has set it can have meant.
func TestSettingsThatMeanNothing(t *testing.T) {
	const keys, redis = "AUTH_SECRET, AUTH_PUBLIC_KEY or AUTH_JWKS_URL", "REDIS_URL"
	for setting, without := range map[string]string{"AUTH_ISSUER=me": keys, "AUTH_AUDIENCE=chat": keys, "AUTH_MAX_TTL=720h": keys,
		"REDIS_CA=-----BEGIN CERTIFICATE-----": redis, "REDIS_PREFIX=setu": redis, "METRICS_HOST=::1": "METRICS_PORT"} {
		name, value, _ := strings.Cut(setting, "=")
		_, err := LoadConfig([]string{setting, "AUTH=open"})
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("%s is %q", name, value)) ||
			!strings.HasSuffix(err.Error(), "; only with "+without+" (it means nothing without "+without+")") {
			t.Errorf("%s: %v", setting, err)
		}
		if _, err := LoadConfig([]string{setting, testSecret, "REDIS_URL=rediss://h", "METRICS_PORT=9091"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := LoadConfig([]string{"REDIS_CA=" + strings.Repeat("s3cr3t ", 20)}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Error("a long text may be a key: ", err)
	}
	for _, mode := range []string{"", "AUTH=required"} {
		_, err := LoadConfig([]string{"GUEST_ROOMS=lobby:join", testSecret, mode})
		if err == nil || !strings.HasPrefix(err.Error(), `GUEST_ROOMS is "lobby:join"`) || !strings.Contains(err.Error(), "(nobody is a guest where AUTH is required") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// Help explains every setting.
func TestHelp(t *testing.T) {
	var out strings.Builder
	WriteHelp(&out)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	settings := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("env") != "" {
			settings++
		}
	}
	if len(lines) != settings || len(lines) < 17 {
		t.Errorf("%d lines for %d settings", len(lines), settings)
	}
	seen := map[string]bool{}
	for i, s := range Settings() {
		if s.Name == "" || s.Help == "" || s.Type == "" || seen[s.Name] || s.Name != strings.ToUpper(s.Name) {
			t.Errorf("%+v", s)
		}
		seen[s.Name] = true
		for _, part := range []string{s.Name, s.Type, s.Default, s.Help} {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%q is without %q", lines[i], part)
			}
		}
	}
}

// A password in an address is not printed.
func TestBadAddressesHidePasswords(t *testing.T) {
	for _, setting := range []string{"PRIVATE_URL=http://u:s3cr3t@10.0.0.7", "PRIVATE_URL=u:s3cr3t@10.0.0.7",
		"ALLOWED_ORIGINS=https://u:s3cr3t@a.example", "ALLOWED_ORIGINS=https://u:s3c@r3t@a.example"} {
		_, err := LoadConfig([]string{setting})
		if err == nil || strings.Contains(err.Error(), "s3c") || !strings.Contains(err.Error(), "@") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestPrivateURL(t *testing.T) {
	for name, tt := range map[string]struct {
		settings []string
		want     string
	}{
		"a setting":       {[]string{"PRIVATE_URL=https://relay-7.internal", "FLY_PRIVATE_IP=fdaa::1"}, "https://relay-7.internal"},
		"Fly":             {[]string{"FLY_PRIVATE_IP=fdaa::1", "PORT=81"}, "http://[fdaa::1]:81"},
		"a host":          {[]string{"HOST=10.1.2.3", "FLY_PRIVATE_IP=fdaa::1"}, "http://10.1.2.3:8080"},
		"all addresses":   {[]string{"HOST=0.0.0.0", "FLY_PRIVATE_IP=fdaa::1"}, "http://[fdaa::1]:8080"},
		"by way of Redis": {[]string{"REDIS_URL=redis://127.0.0.1"}, "http://127.0.0.1:8080"},
	} {
		if got := settings(t, tt.settings...).Peer(); got.URL != tt.want || got.Node == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := settings(t, "REDIS_URL=redis://nowhere.invalid:1").Peer().URL; strings.Contains(got, "127.0.0.1") {
		t.Error("Redis' name is not known yet: ", got)
	}
	if _, err := LoadConfig([]string{"PRIVATE_URL=relay:80"}); err == nil || !strings.Contains(err.Error(), "PRIVATE_URL") {
		t.Error(err)
	}
	if _, err := LoadConfig([]string{"FORWARD=maybe"}); err == nil || !strings.Contains(err.Error(), "FORWARD") {
		t.Error(err)
	}
}
