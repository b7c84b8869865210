package relay

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"setu/relay/api"
	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/events"
	"setu/relay/forward"
	"setu/relay/hook"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
)

// Config is every setting. The zero environment is a relay for one machine: port 8080, everything
// in memory.
//
// A setting is a field, and nothing else: env names it, help says what it is for; min and max, oneof,
// or bytes, say what it takes, and with names settings of which one has to be there, too
// (settings.go).
type Config struct {
	Host string `env:"HOST" help:"address to listen on; empty: all"`
	Port int    `env:"PORT" envDefault:"8080" min:"1" max:"65535" help:"port to listen on"`

	MetricsPort int    `env:"METRICS_PORT" envDefault:"0" min:"0" max:"65535" help:"port to serve Prometheus' /metrics on, which PORT never does; 0: none"`
	MetricsHost string `env:"METRICS_HOST" with:"METRICS_PORT" help:"address to listen on for METRICS_PORT; empty: HOST"`

	RedisURL    string `env:"REDIS_URL" help:"redis://, rediss://, valkey:// or valkeys:// URL, or unix:///path/to/socket, that the relays share; empty: this relay alone, in memory"`
	RedisCA     string `env:"REDIS_CA" with:"REDIS_URL" help:"PEM of the CA that signed Redis' certificate; empty: the public ones"`
	RedisPrefix string `env:"REDIS_PREFIX" envDefault:"setu" bytes:"128" with:"REDIS_URL" help:"begins every key and channel, without braces: relays with another prefix are another fleet"`

	Region  string `env:"REGION" bytes:"128" help:"where this relay runs, told to clients; default FLY_REGION"`
	RelayID string `env:"RELAY_ID" bytes:"128" help:"this relay's name, told to clients; default FLY_MACHINE_ID, else made up"`

	PrivateURL string   `env:"PRIVATE_URL" help:"how the other relays reach this one, like http://10.0.0.7:8080; empty: at the address from which it reaches Redis"`
	RelayURLs  []string `env:"RELAY_URLS" help:"comma-separated, where browsers reach the relays of a region, like nrt=https://nrt.example.com, the same on all relays: the page then leads there who wants to come in by that region; without it, through this relay"`
	Forward    string   `env:"FORWARD" envDefault:"auto" oneof:"proxy,fly-replay,auto,off" help:"how requests that reached the wrong relay get to the right one; auto is fly-replay on Fly.io, else proxy"`

	// Not settings: set by the platform and at start.
	Node      string // names this run of the relay; each start makes up another
	Machine   string // FLY_MACHINE_ID
	PrivateIP string // FLY_PRIVATE_IP

	HookTransport http.RoundTripper // makes the requests to HOOK_URL; nil: over the network

	Metrics *metrics.Metrics // count what happens; nil: Server.Metrics are made

	HistoryLimit  int           `env:"HISTORY_LIMIT" envDefault:"256" min:"1" max:"10000" help:"messages kept of a room, the same on all relays"`
	HistoryTTL    time.Duration `env:"HISTORY_TTL" envDefault:"24h" min:"1s" max:"8760h" help:"how long after its last message a room's history goes, the same on all relays"`
	Reactions     int           `env:"REACTIONS" envDefault:"1000" min:"1" max:"10000" help:"reactions that one message may have, of all users together, the same on all relays"`
	ReactionKinds int           `env:"REACTION_KINDS" envDefault:"20" min:"1" max:"100" help:"different reactions that one message may have, the same on all relays"`
	RecoveryTTL   time.Duration `env:"RECOVERY_TTL" envDefault:"1h" min:"1s" max:"8760h" help:"how long after its connection was lost a client's session may be recovered, the same on all relays"`
	PresenceLease time.Duration `env:"PRESENCE_LEASE" envDefault:"15s" min:"1s" max:"1h" help:"after a relay died without a word its users leave within this and a second"`

	PingInterval   time.Duration `env:"PING_INTERVAL" envDefault:"25s" min:"10ms" max:"1h" help:"between heartbeats to a client"`
	PingTimeout    time.Duration `env:"PING_TIMEOUT" envDefault:"20s" min:"10ms" max:"1h" help:"how long a client may take to answer one"`
	ConnectTimeout time.Duration `env:"CONNECT_TIMEOUT" envDefault:"45s" min:"10ms" max:"1h" help:"how long a client may be connected to no namespace"`
	MaxPayload     int           `env:"MAX_PAYLOAD" envDefault:"1000000" min:"1000" max:"67108864" help:"bytes of one message from a client"`
	OutboxBytes    int           `env:"OUTBOX_BYTES" envDefault:"4194304" min:"65536" max:"1073741824" help:"bytes that may wait for one client before it is closed as too slow"`
	Compression    int           `env:"COMPRESSION" envDefault:"0" min:"0" max:"67108864" help:"bytes from which on a message is compressed for clients that offer permessage-deflate, like 200; 0: none is, in either direction"`
	MaxConnections int           `env:"MAX_CONNECTIONS" envDefault:"10000" min:"1" help:"clients at a time; others are refused with 503"`
	AllowedOrigins []string      `env:"ALLOWED_ORIGINS" help:"comma-separated origins of other sites whose pages may connect, like https://example.com, https://*.example.com (its subdomains), capacitor://localhost or null; *: any"`

	EmbedOrigins []string `env:"EMBED_ORIGINS" help:"comma-separated origins of sites whose pages may show the page in a frame, and sign its users in, like https://example.com or https://*.example.com; empty: none"`

	AuthMode      string        `env:"AUTH" oneof:"open,optional,required" help:"who may connect: everybody, with GUEST_ROOMS for guests by default everything; the same, by default nothing; or users with a token; default required if a key is set, else open"`
	AuthSecret    auth.Secret   `env:"AUTH_SECRET" help:"signs and checks tokens (HS256, HS384, HS512): one secret of at least 32 bytes, or two comma-separated, of which both check and the first signs"`
	AuthPublicKey string        `env:"AUTH_PUBLIC_KEY" help:"PEM of a public key or certificate that checks tokens: RSA of at least 2048 bits (RS256, PS256), EC P-256 (ES256) or Ed25519 (EdDSA); or of two"`
	AuthJWKSURL   string        `env:"AUTH_JWKS_URL" help:"https:// URL (http:// on this machine) of the JSON Web Key Set that checks tokens"`
	AuthIssuer    string        `env:"AUTH_ISSUER" bytes:"1024" with:"AUTH_SECRET,AUTH_PUBLIC_KEY,AUTH_JWKS_URL" help:"what a token's iss must be; empty: anything"`
	AuthAudience  string        `env:"AUTH_AUDIENCE" bytes:"1024" with:"AUTH_SECRET,AUTH_PUBLIC_KEY,AUTH_JWKS_URL" help:"what must be in a token's aud; empty: anything"`
	AuthMaxTTL    time.Duration `env:"AUTH_MAX_TTL" envDefault:"720h" min:"1m" max:"8760h" with:"AUTH_SECRET,AUTH_PUBLIC_KEY,AUTH_JWKS_URL" help:"the longest that a token may be good for, and that a revocation is kept"`
	GuestRooms    string        `env:"GUEST_ROOMS" help:"what guests may do, like lobby:join,publish,signal,history,members team-*:join; default everything but invisible if AUTH is open, else nothing; not if AUTH is required"`

	HookURL         auth.Secret   `env:"HOOK_URL" help:"https:// or http:// address of the app that is asked, see docs/hooks.md; empty: none"`
	HookSecret      auth.Secret   `env:"HOOK_SECRET" with:"HOOK_URL" help:"signs what the app is asked (Standard Webhooks): whsec_ and 24 to 64 bytes in base64, or two comma-separated while they change, which both sign; may be left out only if HOOK_URL is on this machine"`
	HookEvents      []string      `env:"HOOK_EVENTS" envDefault:"connect,event" with:"HOOK_URL" help:"comma-separated: what the app is asked, of connect, event, join and publish, and told: presence"`
	HookHeaders     []string      `env:"HOOK_HEADERS" with:"HOOK_URL" help:"comma-separated headers of a client's handshake that the app is told on connect, like cookie,authorization; empty: none"`
	HookTimeout     time.Duration `env:"HOOK_TIMEOUT" envDefault:"2s" min:"10ms" max:"30s" with:"HOOK_URL" help:"for the app's answer, with the wait for a turn and for another try"`
	HookConcurrency int           `env:"HOOK_CONCURRENCY" envDefault:"64" min:"1" max:"10000" with:"HOOK_URL" help:"requests to the app at a time"`
	HookQueue       int           `env:"HOOK_QUEUE" envDefault:"1000" min:"0" max:"100000" with:"HOOK_URL" help:"requests to the app that may wait for their turn: past that they fail at once"`
	HookAnswerBytes int           `env:"HOOK_ANSWER_BYTES" envDefault:"262144" min:"1024" max:"67108864" with:"HOOK_URL" help:"bytes of an answer of the app"`
	HookNetwork     string        `env:"HOOK_NETWORK" envDefault:"public" oneof:"public,any" with:"HOOK_URL" help:"where the app may be: at addresses of the internet alone, or at any, those of the private network and of this machine, too"`
	HookGrace       time.Duration `env:"HOOK_GRACE" envDefault:"10s" min:"0s" max:"1h" with:"HOOK_URL" help:"how long a user must be gone, or a room be empty, before the app is told, the same on all relays"`
	HookKeep        time.Duration `env:"HOOK_KEEP" envDefault:"1h" min:"1s" max:"72h" with:"HOOK_URL" help:"how long the app is tried to be told of presence, the same on all relays"`

	APIKeys auth.Secret `env:"API_KEYS" help:"keys of the server API, comma-separated, each name:secret:rights, where rights are publish, read and manage, with + between, and a secret has at least 32 characters of A-Z a-z 0-9 . _ ~ + / = -; empty: there is no API"`
	APIRate limit.Rate  `env:"API_RATE" envDefault:"1000/s:2000" with:"API_KEYS" help:"requests of one key to this relay; of a batch each message counts"`

	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"45s" min:"10ms" max:"1h" help:"for the body of a request to come, and for an answer to be read"`

	PublishRate limit.Rate `env:"PUBLISH_RATE" envDefault:"100/s:200" help:"messages that one connection may publish"`
	SignalRate  limit.Rate `env:"SIGNAL_RATE" envDefault:"100/s:200" help:"signals that one connection may send"`
	JoinRate    limit.Rate `env:"JOIN_RATE" envDefault:"20/s:250" help:"joins of one connection"`
	HistoryRate limit.Rate `env:"HISTORY_RATE" envDefault:"10/s:50" help:"requests of one connection for history and members"`
	EventRate   limit.Rate `env:"EVENT_RATE" envDefault:"50/s:250" help:"all else that one connection may send: leaves, pings, unknown events, CONNECTs, pongs, upgrades"`
	BytesRate   limit.Rate `env:"BYTES_RATE" envDefault:"262144/s:4194304" help:"bytes that one connection may send; twice its burst at once close it, so that is at least 4 times MAX_PAYLOAD, as by default"`

	UserPublishRate limit.Rate `env:"USER_PUBLISH_RATE" envDefault:"200/s:400" help:"messages that one user may publish, over all relays"`
	UserSignalRate  limit.Rate `env:"USER_SIGNAL_RATE" envDefault:"200/s:400" help:"signals that one user may send, over all relays"`
	UserJoinRate    limit.Rate `env:"USER_JOIN_RATE" envDefault:"100/s:1000" help:"joins of one user, over all relays"`
	UserHistoryRate limit.Rate `env:"USER_HISTORY_RATE" envDefault:"20/s:200" help:"requests of one user for history and members, over all relays"`

	MaxRooms           int `env:"MAX_ROOMS" envDefault:"200" min:"1" max:"10000" help:"rooms of one connection"`
	MaxMembers         int `env:"MAX_MEMBERS" envDefault:"0" min:"0" help:"users of one room, over all relays; 0: no bound"`
	MaxUserConnections int `env:"MAX_USER_CONNECTIONS" envDefault:"100" min:"0" help:"connections of one user, over all relays; 0: no bound"`

	MaxAddressConnections int        `env:"MAX_ADDRESS_CONNECTIONS" envDefault:"1000" min:"0" help:"connections from one address to this relay, and as many more on which nothing is asked; 0: no bound, and no turns for the processor"`
	MaxUnconnected        int        `env:"MAX_UNCONNECTED" envDefault:"4000" min:"0" help:"connections that have not sent a CONNECT yet, a quarter of them from one address; 0: no bound"`
	HandshakeRate         limit.Rate `env:"HANDSHAKE_RATE" envDefault:"100/s:1000" help:"handshakes from one address, and requests that are no good, CONNECTs after the first of a session, tokens that are brought later; of files of the page eight times as many, and at once twice"`
	HandshakesRate        limit.Rate `env:"HANDSHAKES_RATE" envDefault:"1000/s:5000" help:"handshakes in all"`
	TrustedProxies        []string   `env:"TRUSTED_PROXIES" help:"comma-separated networks of the proxies whose X-Forwarded-For tells a client's address, like 10.0.0.0/8, and not of everybody; empty: none"`

	Lobby       string   `env:"LOBBY" bytes:"200" help:"the room that every connection is in from CONNECT on, if it may join it; empty: none"`
	LobbyEvents []string `env:"LOBBY_EVENTS" help:"comma-separated names of events that clients may emit by themselves, with any arguments, which the lobby then hears, like chat message,drawing=others; * is all other names; after = stand others (not their sender), volatile (not stored), rooms (to the rooms that their sender is in, not the lobby), or more of them with + between"`

	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"20s" min:"0s" max:"5m" help:"for closing all clients on SIGTERM"`

	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error"`
	LogFormat string     `env:"LOG_FORMAT" envDefault:"text" oneof:"text,json" help:"how log lines are written"`
}

// LoadConfig reads the settings from environ, as os.Environ returns it. The error names each bad
// setting, what it got and what it takes.
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
	for _, list := range [][]string{c.AllowedOrigins, c.EmbedOrigins, c.TrustedProxies, c.HookEvents, c.HookHeaders, c.RelayURLs} {
		for i, s := range list {
			list[i] = strings.TrimSpace(s)
		}
	}
	for _, list := range [][]string{c.AllowedOrigins, c.EmbedOrigins} {
		for i, s := range list {
			list[i] = asciiSite(s)
		}
	}
	for i, o := range c.EmbedOrigins {
		if o = strings.ToLower(o); !strings.HasSuffix(o, "//") {
			o = strings.TrimSuffix(o, "/")
		}
		c.EmbedOrigins[i] = o
	}
	if vars["BYTES_RATE"] == "" {
		c.BytesRate.Burst = max(c.BytesRate.Burst, c.leastBytesBurst())
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
	return c, errors.Join(c.check(), errors.Join(alone(vars)...))
}

// leastBytesBurst returns the least burst of BYTES_RATE with which a message that is read past, for
// being too large, closes no connection.
func (c Config) leastBytesBurst() int { return c.MaxPayload * engine.OversizeFactor / 2 }

// check returns an error if a setting is not what it takes.
func (c Config) check() error {
	out := outOfRange(c)
	refuse := func(name, got string, why error) {
		out = append(out, fmt.Errorf("%w (%w)", bad(name, withoutPassword(got)), why))
	}
	if c.PrivateURL != "" && !engine.IsSite(c.PrivateURL) {
		refuse("PRIVATE_URL", c.PrivateURL, errors.New("it is http:// or https://, a host and a port, and nothing else"))
	}
	if c.MetricsPort == c.Port && c.MetricsPort != 0 {
		refuse("METRICS_PORT", strconv.Itoa(c.MetricsPort), errors.New("it is PORT, which serves everybody"))
	}
	if strings.ContainsAny(c.RedisPrefix, "{}") {
		out = append(out, bad("REDIS_PREFIX", c.RedisPrefix))
	}
	for i, entry := range c.RelayURLs {
		if err := checkRelayURL(entry, c.RelayURLs[:i]); err != nil {
			refuse("RELAY_URLS", entry, err)
		}
	}
	for _, o := range c.AllowedOrigins {
		if _, err := engine.ParseOrigins([]string{o}); err != nil {
			refuse("ALLOWED_ORIGINS", o, err)
		}
	}
	for _, o := range c.EmbedOrigins {
		_, err := engine.ParseOrigins([]string{o})
		if err == nil && !strings.HasPrefix(o, "https://") && !strings.HasPrefix(o, "http://") {
			err = errors.New("it is https:// or http://, a host and perhaps a port: whoever may embed the page can act for its users")
		}
		if err != nil {
			refuse("EMBED_ORIGINS", o, err)
		}
	}
	for _, p := range c.TrustedProxies {
		switch networks, err := limit.ParsePrefixes([]string{p}); {
		case err != nil:
			refuse("TRUSTED_PROXIES", p, errors.New("it is a network, like 10.0.0.0/8, or an address"))
		case networks[0].Bits() == 0:
			refuse("TRUSTED_PROXIES", p, errors.New("it is everybody, and so every client could make up its address"))
		}
	}
	if least := c.leastBytesBurst(); !c.BytesRate.IsOff() && c.BytesRate.Burst < least {
		refuse("BYTES_RATE", c.BytesRate.String(), fmt.Errorf("with a MAX_PAYLOAD of %d its burst, after the colon, is at least %d", c.MaxPayload, least))
	}
	switch lobby, err := events.ParseLobbyEvents(c.LobbyEvents); {
	case err != nil:
		refuse("LOBBY_EVENTS", strings.Join(c.LobbyEvents, ","), err)
	case lobby.NeedLobby() && c.Lobby == "":
		refuse("LOBBY_EVENTS", strings.Join(c.LobbyEvents, ","), errors.New("without LOBBY all of them have to be =rooms"))
	}
	if c.APIKeys != "" {
		if _, err := api.ParseKeys(c.APIKeys); err != nil {
			refuse("API_KEYS", hiddenText(len(c.APIKeys)).String(), err)
		}
	}
	_, wrong := c.readAuth()
	_, wrongHook := c.readHook()
	return errors.Join(slices.Concat(out, wrong, wrongHook)...)
}

// withoutPassword hides the password that an address may hold.
func withoutPassword(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	scheme, rest, found := strings.Cut(address[:at], "://")
	if !found {
		scheme, rest = "", address[:at]
	} else {
		scheme += "://"
	}
	user, _, found := strings.Cut(rest, ":")
	if !found {
		return address
	}
	return scheme + user + ":..." + address[at:]
}

// Limits returns the settings of history and sessions.
func (c Config) Limits() broker.Limits {
	return broker.Limits{History: c.HistoryLimit, TTL: c.HistoryTTL, Recovery: c.RecoveryTTL,
		Reactions: c.Reactions, ReactionKinds: c.ReactionKinds,
		Notices: broker.NoticeLimits{On: c.tellsPresence(), Grace: c.HookGrace, Keep: c.HookKeep, Claim: c.HookTimeout + claimBeyond}}
}

// Engine returns the settings of the Engine.IO server.
func (c Config) Engine() engine.Config {
	origins, _ := engine.ParseOrigins(c.AllowedOrigins) // check has read them
	proxies, _ := limit.ParsePrefixes(c.TrustedProxies)
	return engine.Config{Node: c.Node, PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, MaxPayload: c.MaxPayload,
		OutboxBytes: c.OutboxBytes, Compression: c.Compression, MaxConnections: c.MaxConnections, AllowedOrigins: origins, RequestTimeout: c.RequestTimeout,
		Rates: limit.Rates{limit.Publish: c.PublishRate, limit.Signal: c.SignalRate, limit.Join: c.JoinRate,
			limit.History: c.HistoryRate, limit.Event: c.EventRate, limit.Bytes: c.BytesRate},
		HandshakeRate: c.HandshakeRate, HandshakesRate: c.HandshakesRate, MaxAddressConnections: c.MaxAddressConnections,
		MaxUnconnected: c.MaxUnconnected, Addresses: limit.Addresses{Fly: c.Machine != "", Trusted: proxies},
		KeepOpening: c.keepOpening(), Metrics: c.Metrics}
}

// Auth returns the settings of tokens.
func (c Config) Auth() auth.Config {
	out, _ := c.readAuth() // check has read them
	return out
}

// Namespace returns the settings of Socket.IO.
func (c Config) Namespace() namespace.Config {
	return namespace.Config{ConnectTimeout: c.ConnectTimeout, MaxPayload: c.MaxPayload, Metrics: c.Metrics}
}

// MetricsAddress returns the address to listen on for METRICS_PORT.
func (c Config) MetricsAddress() string { return cmp.Or(c.MetricsHost, c.Host) }

func (c Config) events(hooks *hook.Sender) events.Config {
	lobby, _ := events.ParseLobbyEvents(c.LobbyEvents) // check has read them
	return events.Config{RelayID: c.RelayID, Region: c.Region, RelayURLs: c.relayURLs(), MaxPayload: c.MaxPayload, History: c.HistoryLimit,
		Node: c.Node, MaxRooms: c.MaxRooms, MaxUserConnections: c.MaxUserConnections, Lobby: c.Lobby, LobbyEvents: lobby,
		UserRates: limit.Rates{limit.Publish: c.UserPublishRate, limit.Signal: c.UserSignalRate,
			limit.Join: c.UserJoinRate, limit.History: c.UserHistoryRate}, Hooks: hooks, Metrics: c.Metrics}
}

func (c Config) api() api.Config {
	keys, _ := api.ParseKeys(c.APIKeys) // check has read them
	return api.Config{Keys: keys, Rate: c.APIRate, RelayID: c.RelayID, MaxPayload: c.MaxPayload, BodyTimeout: c.RequestTimeout,
		Kept: c.AuthMaxTTL, Metrics: c.Metrics}
}

func (c Config) forward() forward.Config {
	return forward.Config{Mode: c.Forward, Machine: c.Machine, Region: c.Region, Metrics: c.Metrics}
}

// Logger returns a logger as the settings ask for, on standard error.
func (c Config) Logger() *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}
