package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"setu/relay"
	"setu/relay/metrics"
)

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
