//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"setu/relay"
	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/handshake"
	"setu/relay/metrics"
)

const profileSuffix = ".prof"

// serveRelay is a relay as main.go makes one, but for the page, that can do what one that serves everybody should not be
// asked for: it collects garbage on SIGUSR1, and writes a CPU profile when it ends.
func serveRelay(ctx context.Context, args []string) error {
	f := flag.NewFlagSet(asRelay, flag.ContinueOnError)
	profile := f.String("cpuprofile", "", "a `directory` for a CPU profile, which is named for RELAY_ID")
	if err := f.Parse(args); err != nil {
		return err
	}
	cfg, err := relay.LoadConfig(os.Environ())
	if err != nil {
		return err
	}
	if *profile != "" {
		out, err := os.Create(filepath.Join(*profile, cfg.RelayID+profileSuffix))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer out.Close()
		defer pprof.StopCPUProfile()
	}
	stop := collectOnSignal()
	defer stop()
	return serve(ctx, cfg, cfg.Logger())
}

// collectOnSignal collects garbage, and gives free memory back, on SIGUSR1.
func collectOnSignal() (stop func()) {
	asked, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		defer close(done)
		for range asked {
			debug.FreeOSMemory()
		}
	}()
	return func() {
		signal.Stop(asked)
		close(asked)
		<-done
	}
}

// serve serves until ctx ends.
func serve(ctx context.Context, cfg relay.Config, log *slog.Logger) error {
	cfg.Metrics = metrics.New()
	b, err := openBroker(cfg, log)
	if err != nil {
		return err
	}
	srv, err := relay.New(cfg, b, log)
	if err != nil {
		return err
	}
	tcp := net.ListenConfig{KeepAlive: -1}
	l, err := tcp.Listen(ctx, "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return err
	}
	web := &http.Server{Handler: srv, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: cfg.RequestTimeout, WriteTimeout: cfg.RequestTimeout,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ConnState: srv.ConnState, ErrorLog: relay.WebLog(log, srv.Metrics())}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(handshake.Listen(l, web, relay.Path, web.Handler)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(srv.Shutdown(end), web.Shutdown(end), b.Close(end))
	<-failed
	return err
}

func openBroker(cfg relay.Config, log *slog.Logger) (broker.Broker, error) {
	if cfg.RedisURL == "" {
		return broker.NewMemory(cfg.Limits()), nil
	}
	b, err := redis.Open(redis.Config{URL: cfg.RedisURL, CA: cfg.RedisCA, Prefix: cfg.RedisPrefix,
		Lease: cfg.PresenceLease, Limits: cfg.Limits(), Self: cfg.Peer(), Metrics: cfg.Metrics}, log)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	return b, nil
}
