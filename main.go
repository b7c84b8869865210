// Command setu is a relay for rooms over Socket.IO's wire protocol. See README.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // an image from scratch has no roots

	"setu/public"
	"setu/relay"
	"setu/relay/api"
	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/command"
	"setu/relay/dev"
	"setu/relay/handshake"
	"setu/relay/metrics"
)

const usage = `setu is a relay for rooms: stock Socket.IO clients, any number of relays, one Redis.

  setu          serve
  setu dev      serve oneself, to move or write an app: in memory, at 127.0.0.1, with a lobby; prints what an app
                is asked, answers by --rules FILE or the app at HOOK_URL, and shows it all at /_dev
  setu health   ask the relay on this machine whether it is ready; exit status 0 or 1
  setu token    print a token, signed by AUTH_SECRET; setu token -h says for whom and what
  setu revoke   end the right to be connected of --user ID, --jti ID (a token) or --session ID, on all relays at
                REDIS_URL: of tokens from before --issued-before (RFC 3339, or seconds since 1970), by default all,
                those to come, too; with --reauth from before now, and another may be brought within 30 s.
                Kept for --ttl (AUTH_MAX_TTL): until the last of them has expired
  setu version  print the version
  setu help     print this

All settings come from the environment:

  setting                 type      default          meaning
`

func main() {
	err := run(os.Args[1:], os.Environ(), os.Stdout)
	if err != nil {
		if !errors.Is(err, errDrain) { // which is in the log
			fmt.Fprintln(os.Stderr, "setu:", err)
		}
		os.Exit(1)
	}
}

func run(args, environ []string, out io.Writer) error {
	what := "serve"
	if len(args) > 0 {
		what = args[0]
	}
	switch what {
	case "help", "-h", "--help":
		_, _ = io.WriteString(out, usage)
		relay.WriteHelp(out)
		return nil
	case "version":
		_, err := fmt.Fprintln(out, version())
		return err
	case "dev":
		d, err := dev.New(args[1:], environ, out)
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		if err != nil {
			return err
		}
		defer d.Close()
		return serve(d.Config, d)
	}
	cfg, err := relay.LoadConfig(environ)
	if err != nil {
		return fmt.Errorf("bad settings:\n%w", err)
	}
	switch what {
	case "serve":
		return serve(cfg, nil)
	case "health":
		return health(cfg)
	case "token":
		return command.Token(cfg.Auth(), args[1:], out)
	case "revoke":
		return command.Revoke(cfg, args[1:], out, os.Stderr)
	}
	return fmt.Errorf("no command %q; try setu help", what)
}

// revision is set by the linker when an image is built, and by nothing else: there is no git there
// to name it.
var revision string

// version returns one line: the module's version, the revision, and Go's version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return versionOf(info, revision)
}

func versionOf(info *debug.BuildInfo, linked string) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	rev := cmp.Or(settings["vcs.revision"], linked, "unknown-revision")
	if settings["vcs.modified"] == "true" {
		rev += "-dirty"
	}
	return fmt.Sprintf("setu %s %s %s", cmp.Or(info.Main.Version, "(devel)"), rev, cmp.Or(info.GoVersion, runtime.Version()))
}

// health asks the relay that listens with these settings whether it is ready.
func health(cfg relay.Config) error {
	host := cfg.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	c := http.Client{Timeout: 3 * time.Second}
	res, err := c.Get("http://" + net.JoinHostPort(host, strconv.Itoa(cfg.Port)) + "/readyz")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return errors.New(string(why))
	}
	return nil
}

// serve runs a relay until a signal ends it, and then drains. From then on SIGINT ends the process
// at once. Another SIGTERM changes nothing: platforms send one more when their patience ends. d is of setu dev;
// else it is nil.
func serve(cfg relay.Config, d *dev.Dev) error {
	log := cfg.Logger()
	stdlog.SetFlags(0)
	stdlog.SetOutput(relay.StrayLog(log))
	stop := make(chan os.Signal, 8) // all that may come at a time
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	if err := cfg.CheckFiles(); err != nil {
		log.Warn(err.Error())
	}
	cfg.Metrics = newMetrics()
	closeMetrics, err := serveMetrics(cfg, log)
	if err != nil {
		return err
	}
	defer closeMetrics() // last: a drain is watched, too
	cfg.WarnOpen(log)
	b, err := openBroker(cfg, log)
	if err != nil {
		return err
	}
	srv, err := relay.New(cfg, b, log)
	if err != nil {
		return err
	}
	tcp := net.ListenConfig{KeepAlive: -1} // every session has a heartbeat of its own
	l, err := tcp.Listen(context.Background(), "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return fmt.Errorf("HOST and PORT: %w", err)
	}
	if !public.Built() {
		log.Warn("the browser client was not built: run go generate ./... and start again")
	}
	web := newWeb(cfg, srv, log)
	if d != nil {
		web.Handler = d.Handler(srv, b, web.Handler)
		d.Greet("http://" + hostOf(l.Addr()))
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listen(l, srv, web)) }()
	log.Info("serving", "url", "http://"+hostOf(l.Addr()), "relay", cfg.RelayID, "region", cfg.Region, "redis", cfg.RedisURL != "")
	select {
	case err := <-failed:
		return err
	case <-stop:
	}
	drained := make(chan error, 1)
	go func() { drained <- drain(cfg, log, srv, web, b) }()
	for {
		select {
		case err := <-drained:
			return err
		case s := <-stop:
			if s == os.Interrupt {
				return errInterrupted // the process ends, and with it the drain
			}
		}
	}
}

// errInterrupted is the error of a drain that SIGINT has ended.
var errInterrupted = errors.New("interrupted while draining")

// openBroker opens the broker that keeps the rooms: Redis if REDIS_URL is set, else memory.
func openBroker(cfg relay.Config, log *slog.Logger) (broker.Broker, error) {
	if cfg.RedisURL == "" {
		return broker.NewMemory(cfg.Limits()), nil
	}
	b, err := redis.Open(redis.Config{URL: cfg.RedisURL, CA: cfg.RedisCA, Prefix: cfg.RedisPrefix,
		Lease: cfg.PresenceLease, Limits: cfg.Limits(), Self: cfg.Peer(), Metrics: cfg.Metrics}, log)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL, REDIS_CA: %w", err)
	}
	return b, nil
}

// newWeb bounds what a client may take before it has a session. What a relay serves has deadlines of its
// own: a poll waits.
func newWeb(cfg relay.Config, srv *relay.Server, log *slog.Logger) *http.Server {
	return &http.Server{Handler: routes(srv, cfg), ReadHeaderTimeout: min(10*time.Second, cfg.RequestTimeout),
		ReadTimeout: cfg.RequestTimeout, WriteTimeout: cfg.RequestTimeout, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ConnState: srv.ConnState, ErrorLog: relay.WebLog(log, srv.Metrics())}
}

// listen returns l for web.Serve: WebSockets' handshakes are served beside it.
func listen(l net.Listener, srv *relay.Server, web *http.Server) net.Listener {
	return handshake.Listen(srv.Guard(l), web, relay.Path, web.Handler).InTurn(srv.AwaitConnection)
}

func routes(srv *relay.Server, cfg relay.Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(relay.Path, srv)
	mux.Handle(strings.TrimSuffix(relay.Path, "/"), srv)
	mux.Handle("/healthz", srv)
	mux.Handle("/readyz", srv)
	mux.Handle(api.Path, srv)
	page := public.Options{Embedders: cfg.EmbedOrigins, TokenRequired: cfg.Auth().Mode == auth.Required, Newest: srv.Newest}
	mux.Handle("/", srv.BoundFiles(public.Handler(page)))
	return mux
}

// hostOf returns an address as one would type it into a browser.
func hostOf(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return a.String()
}

// errDrain is the error of a drain that failed. What failed is in the log.
var errDrain = errors.New("the drain failed")

// drain closes clients so that they come back over other relays, then the listener, then the
// broker, which announces the users that did not. It fails if clients were cut off, which may have
// missed something, or if the store could not be told which users are gone. Requests that outlast
// the listener are no failure: such a connection may be one that a browser keeps and never used.
func drain(cfg relay.Config, log *slog.Logger, srv *relay.Server, web *http.Server, b broker.Broker) error {
	log.Info("draining", "timeout", cfg.DrainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.DrainTimeout)
	defer cancel()
	forced := srv.Shutdown(ctx)
	if err := shutdownWithin(2*time.Second, web.Shutdown); err != nil {
		log.Debug("cut connections that were still open", "error", err)
		_ = web.Close()
	}
	unsaid := shutdownWithin(3*time.Second, b.Close) // a time of its own, whatever the others took
	if forced != nil {
		log.Warn("drained, but clients had to be cut off: raise DRAIN_TIMEOUT if there were many", "error", forced)
	}
	if unsaid != nil {
		log.Warn("drained, but the store was not told who is gone: their leases will", "error", unsaid)
	}
	if forced != nil || unsaid != nil {
		return errDrain
	}
	log.Info("drained")
	return nil
}

func shutdownWithin(d time.Duration, shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return shutdown(ctx)
}

// newMetrics returns what a relay counts, labeled with this build.
func newMetrics() *metrics.Metrics {
	m := metrics.New()
	m.BuildInfo.Tell(strings.Fields(version())[1:]...)
	return m
}

// serveMetrics serves the metrics, and nothing else, on METRICS_PORT, if that is set, until done is
// called.
func serveMetrics(cfg relay.Config, log *slog.Logger) (done func(), err error) {
	if cfg.MetricsPort == 0 {
		return func() {}, nil
	}
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), "tcp", net.JoinHostPort(cfg.MetricsAddress(), strconv.Itoa(cfg.MetricsPort)))
	if err != nil {
		return nil, fmt.Errorf("METRICS_HOST and METRICS_PORT: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", cfg.Metrics.Handler())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: relay.WebLog(log, cfg.Metrics)}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := web.Serve(l); err != http.ErrServerClosed {
			log.Error("the metrics are not served any more", "error", err)
		}
	})
	log.Info("serving metrics", "url", "http://"+hostOf(l.Addr())+"/metrics")
	return func() {
		_ = web.Close()
		serving.Wait()
	}, nil
}
