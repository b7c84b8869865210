package relay

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/events"
	"setu/relay/forward"
	"setu/relay/namespace"
)

// Config is every setting. The zero environment is a relay for one machine: port 8080, everything in memory.
type Config struct {
	Host string `env:"HOST" help:"address to listen on; empty: all"`
	Port int    `env:"PORT" envDefault:"8080" help:"port to listen on, 1 to 65535"`

	RedisURL    string `env:"REDIS_URL" help:"redis://, rediss://, valkey:// or valkeys:// URL that the relays share; empty: this relay alone, in memory"`
	RedisCA     string `env:"REDIS_CA" help:"PEM of the CA that signed Redis' certificate; empty: the public ones"`
	RedisPrefix string `env:"REDIS_PREFIX" envDefault:"setu" help:"begins every key and channel: relays with another prefix are another fleet"`

	Region  string `env:"REGION" help:"where this relay runs, told to clients; default FLY_REGION"`
	RelayID string `env:"RELAY_ID" help:"this relay's name, told to clients; default FLY_MACHINE_ID, else made up"`

	PrivateURL string `env:"PRIVATE_URL" help:"how the other relays reach this one, like http://10.0.0.7:8080; empty: at the address from which it reaches Redis"`
	Forward    string `env:"FORWARD" envDefault:"auto" help:"how requests that reached the wrong relay get to the right one: proxy, fly-replay, auto (fly-replay on Fly.io, else proxy) or off"`

	// Not settings: what the platform and this start say.
	Node      string // names this life of this relay; made up
	Machine   string // FLY_MACHINE_ID
	PrivateIP string // FLY_PRIVATE_IP

	HistoryLimit  int           `env:"HISTORY_LIMIT" envDefault:"256" help:"messages kept of a room, 1 to 10000; the same on all relays"`
	HistoryTTL    time.Duration `env:"HISTORY_TTL" envDefault:"24h" help:"how long after its last message a room's history goes, 1s to 8760h; the same on all relays"`
	RecoveryTTL   time.Duration `env:"RECOVERY_TTL" envDefault:"1h" help:"how long after its connection was lost a client's session may be recovered, 1s to 8760h; the same on all relays"`
	PresenceLease time.Duration `env:"PRESENCE_LEASE" envDefault:"15s" help:"after a relay died without a word its users leave within this, 1s to 1h"`

	PingInterval   time.Duration `env:"PING_INTERVAL" envDefault:"25s" help:"between heartbeats to a client, 10ms to 1h"`
	PingTimeout    time.Duration `env:"PING_TIMEOUT" envDefault:"20s" help:"how long a client may take to answer one, 10ms to 1h"`
	ConnectTimeout time.Duration `env:"CONNECT_TIMEOUT" envDefault:"45s" help:"how long a client may be connected to no namespace, 10ms to 1h"`
	MaxPayload     int           `env:"MAX_PAYLOAD" envDefault:"1000000" help:"bytes of one message from a client, 1000 to 67108864"`
	OutboxBytes    int           `env:"OUTBOX_BYTES" envDefault:"4194304" help:"bytes that may wait for one client before it is closed as too slow, 65536 to 1073741824"`
	MaxConnections int           `env:"MAX_CONNECTIONS" envDefault:"10000" help:"clients at a time, 1 or more; others are refused with 503"`
	AllowedOrigins []string      `env:"ALLOWED_ORIGINS" help:"comma-separated origins of other sites whose pages may connect, like https://example.com; *: any"`

	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"20s" help:"for closing all clients on SIGTERM, 0s to 5m"`

	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error"`
	LogFormat string     `env:"LOG_FORMAT" envDefault:"text" help:"text or json"`
}

// LoadConfig reads the settings from environ, as os.Environ returns it. The error names each bad setting, what it got and
// what it takes.
func LoadConfig(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	for name, v := range vars { // set but empty is not set
		if v == "" {
			delete(vars, name)
		}
	}
	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: vars})
	if err != nil {
		return c, explain(err, vars)
	}
	for i, o := range c.AllowedOrigins {
		c.AllowedOrigins[i] = strings.TrimSpace(o)
	}
	if c.Region == "" {
		c.Region = vars["FLY_REGION"]
	}
	c.Node, c.Machine, c.PrivateIP = engine.NewNode(), vars["FLY_MACHINE_ID"], vars["FLY_PRIVATE_IP"]
	if c.RelayID == "" {
		c.RelayID = c.Machine
	}
	if c.RelayID == "" {
		c.RelayID = strings.ToLower(rand.Text()[:8])
	}
	return c, c.check()
}

// explain turns what the library says of fields into what the user knows: settings.
func explain(err error, vars map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var out []error
	for _, e := range all.Errors {
		var parse env.ParseError
		field, ok := reflect.StructField{}, false
		if errors.As(e, &parse) {
			field, ok = reflect.TypeFor[Config]().FieldByName(parse.Name)
		}
		if !ok {
			out = append(out, e)
			continue
		}
		name := field.Tag.Get("env")
		out = append(out, bad(name, vars[name]))
	}
	return errors.Join(out...)
}

// bad says that a setting got what it does not take.
func bad(name string, got any) error {
	for _, s := range Settings() {
		if s.Name == name {
			return fmt.Errorf("%s is %q: it takes a %s: %s", name, fmt.Sprint(got), s.Type, s.Help)
		}
	}
	return fmt.Errorf("%s is %q", name, fmt.Sprint(got))
}

// check holds the settings against their bounds.
func (c Config) check() error {
	var out []error
	within := func(name string, ok bool, got any) {
		if !ok {
			out = append(out, bad(name, got))
		}
	}
	between := func(name string, d, low, high time.Duration) { within(name, d >= low && d <= high, d) }
	within("PORT", c.Port >= 1 && c.Port <= 65535, c.Port)
	within("HISTORY_LIMIT", c.HistoryLimit >= 1 && c.HistoryLimit <= 10000, c.HistoryLimit)
	between("HISTORY_TTL", c.HistoryTTL, time.Second, 8760*time.Hour)
	between("RECOVERY_TTL", c.RecoveryTTL, time.Second, 8760*time.Hour)
	between("PRESENCE_LEASE", c.PresenceLease, time.Second, time.Hour)
	between("PING_INTERVAL", c.PingInterval, 10*time.Millisecond, time.Hour)
	between("PING_TIMEOUT", c.PingTimeout, 10*time.Millisecond, time.Hour)
	between("CONNECT_TIMEOUT", c.ConnectTimeout, 10*time.Millisecond, time.Hour)
	within("MAX_PAYLOAD", c.MaxPayload >= 1000 && c.MaxPayload <= 64<<20, c.MaxPayload)
	within("OUTBOX_BYTES", c.OutboxBytes >= 64<<10 && c.OutboxBytes <= 1<<30, c.OutboxBytes)
	within("MAX_CONNECTIONS", c.MaxConnections >= 1, c.MaxConnections)
	between("DRAIN_TIMEOUT", c.DrainTimeout, 0, 5*time.Minute)
	within("LOG_FORMAT", c.LogFormat == "text" || c.LogFormat == "json", c.LogFormat)
	within("FORWARD", slices.Contains([]string{forward.Auto, forward.Proxy, forward.Replay, forward.Off}, c.Forward), c.Forward)
	within("PRIVATE_URL", c.PrivateURL == "" || isOrigin(c.PrivateURL), c.PrivateURL)
	within("REDIS_PREFIX", !strings.ContainsAny(c.RedisPrefix, "{}"), c.RedisPrefix)
	for _, o := range c.AllowedOrigins {
		within("ALLOWED_ORIGINS", o == "*" || isOrigin(o), o)
	}
	return errors.Join(out...)
}

// Limits returns what the settings say of history and sessions.
func (c Config) Limits() broker.Limits {
	return broker.Limits{History: c.HistoryLimit, TTL: c.HistoryTTL, Recovery: c.RecoveryTTL}
}

// Engine returns what the settings say of sessions.
func (c Config) Engine() engine.Config {
	return engine.Config{Node: c.Node, PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, MaxPayload: c.MaxPayload,
		OutboxBytes: c.OutboxBytes, MaxConnections: c.MaxConnections, AllowedOrigins: c.AllowedOrigins}
}

// Namespace returns what the settings say of Socket.IO.
func (c Config) Namespace() namespace.Config {
	return namespace.Config{ConnectTimeout: c.ConnectTimeout, MaxPayload: c.MaxPayload}
}

func (c Config) events() events.Config {
	return events.Config{RelayID: c.RelayID, Region: c.Region, MaxPayload: c.MaxPayload, History: c.HistoryLimit}
}

func (c Config) forward() forward.Config {
	return forward.Config{Mode: c.Forward, Machine: c.Machine}
}

// isOrigin reports whether s is scheme and host, and nothing else.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		strings.EqualFold(strings.TrimSuffix(s, "/"), u.Scheme+"://"+u.Host)
}

// Setting describes one field of Config.
type Setting struct{ Name, Type, Default, Help string }

// Settings lists all settings, in the order of Config's fields.
func Settings() []Setting {
	var out []Setting
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("env") == "" {
			continue
		}
		out = append(out, Setting{f.Tag.Get("env"), typeName(f.Type), f.Tag.Get("envDefault"), f.Tag.Get("help")})
	}
	return out
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[slog.Level]():
		return "level"
	}
	switch t.Kind() {
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list"
	}
	return "text"
}

// WriteHelp writes the settings as a table.
func WriteHelp(w io.Writer) {
	for _, s := range Settings() {
		def := s.Default
		if def == "" {
			def = "-"
		}
		fmt.Fprintf(w, "  %-16s %-9s %-9s %s\n", s.Name, s.Type, def, s.Help)
	}
}

// Logger makes the logger that the settings ask for, on standard error.
func (c Config) Logger() *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}
