// Package metrics is what a relay counts, for Prometheus.
//
// A metric is a field of Metrics, and nothing else: its tags name it, its labels and its help. What
// happens is counted by one line, where it happens. What can be looked up when it is asked for, such
// as how many connections there are, is looked up then (OnGather).
//
// No label has a value that a client can choose: each is of a closed set (labels.go). What happens
// often is counted in batches: a message once for all members that it goes to.
package metrics

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what one relay counts.
type Metrics struct {
	// Connections are the clients that are connected now. An upgrade moves one.
	Connections Gauges[Transport] `name:"setu_connections" labels:"transport" help:"Clients that are connected now."`
	// Handshakes are the requests for a new session. Those by neither transport are Refusals alone.
	Handshakes Counters2[Transport, Handshake] `name:"setu_handshakes_total" labels:"transport,result" help:"Requests for a new session, by what came of them."`
	// Upgrades are the WebSockets that were opened for a session that polls.
	Upgrades Counters[Upgrade] `name:"setu_upgrades_total" labels:"result" help:"WebSockets opened for a session that polls, by what came of them."`
	// Closes are the sessions that have ended.
	Closes Counters[Close] `name:"setu_closes_total" labels:"reason" help:"Sessions that have ended, by why."`
	// Refusals are what the log tells of refusals, and leaves out of a flood of them.
	Refusals Counters[Limit] `name:"setu_refusals_total" labels:"limit" help:"What was refused to clients, by what it ran into."`

	// ReceivedBytes and SentBytes are as sockets brought and took them: of WebSockets with the
	// headers of frames, of polling the bodies.
	ReceivedBytes Counters[Transport] `name:"setu_received_bytes_total" labels:"transport" help:"Bytes read from clients: of WebSockets all after the handshake, of polling the bodies."`
	SentBytes     Counters[Transport] `name:"setu_sent_bytes_total" labels:"transport" help:"Bytes written to clients: of WebSockets all, of polling the bodies."`
	// OutboxBytes is what waits to be written, to all clients together.
	OutboxBytes Gauge `name:"setu_outbox_bytes" help:"Bytes that wait to be written to clients."`

	// Connects are the CONNECT packets of Socket.IO.
	Connects Counters[Connect] `name:"setu_connects_total" labels:"result" help:"CONNECTs of Socket.IO, by what came of them."`
	// Recoveries are the attempts to go on without a gap: of a session, and of a room by its since.
	Recoveries Counters2[By, Outcome] `name:"setu_recoveries_total" labels:"by,outcome" help:"Attempts to go on without a gap, by pid (a session) or since (a join)."`

	// API are the requests to the server API.
	API Counters2[Operation, Class] `name:"setu_api_requests_total" labels:"operation,class" help:"Requests to the server API, by operation and class of the answer's status."`

	// Publishes are the messages that clients sent, and the application.
	Publishes Counters[Publish] `name:"setu_publishes_total" labels:"result" help:"Messages that clients and the server API sent, by what came of them."`
	// PublishSeconds is how long the store took: one trip may carry several messages.
	PublishSeconds Histogram `name:"setu_publish_duration_seconds" help:"How long the store took for a trip with publishes."`
	// Deliveries count a message once for each member that it was queued for.
	Deliveries Counter `name:"setu_deliveries_total" help:"Messages queued for members, once for each member."`
	// Resets count a gap once for each member that is told of it.
	Resets Counters[Reset] `name:"setu_resets_total" labels:"reason" help:"Members told that what they may have missed is gone, by why."`
	// Rooms are those that have members here.
	Rooms Gauge `name:"setu_rooms" help:"Rooms that have members on this relay."`

	// RedisSeconds is how long round trips took, by the first command or script of each; its count is
	// how many there were.
	RedisSeconds Histograms[Call] `name:"setu_redis_call_duration_seconds" labels:"call" help:"How long round trips to Redis took, by script (lower case) or command (capitals)."`
	// RedisErrors are the round trips of which something failed.
	RedisErrors Counters[Call] `name:"setu_redis_errors_total" labels:"call" help:"Round trips to Redis that failed, in whole or in part."`
	// SubscriptionLag is how long what is published takes to come back; while it does not, how long
	// that has been so.
	SubscriptionLag Gauge `name:"setu_subscription_lag_seconds" help:"How long the newest health check took to Redis and back over the subscription, or has been on its way."`
	// CatchUps are the readings of the streams for what the subscription did not bring.
	CatchUps Counters[CatchUp] `name:"setu_catch_ups_total" labels:"cause" help:"Readings of the streams for what the subscription did not bring, by why."`

	// Forwards are the requests that were another relay's to serve.
	Forwards Counters2[Mode, Forward] `name:"setu_forwards_total" labels:"mode,result" help:"Requests brought to another relay, by how and what came of it."`

	// Hooks are the requests to the app, each try one.
	Hooks Counters2[Hook, HookOutcome] `name:"setu_hook_requests_total" labels:"type,outcome" help:"Requests to the app at HOOK_URL, by what they were and what came of them."`
	// HookSeconds is how long the app took, without the wait for a turn.
	HookSeconds Histograms[Hook] `name:"setu_hook_duration_seconds" labels:"type" help:"How long requests to the app took, without the wait for a turn."`
	// HookBreaker is 1 while the app is not asked, for it has failed too often.
	HookBreaker Gauges[HookLane] `name:"setu_hook_breaker_open" labels:"lane" help:"1 while the app is not asked, or only tried, since it has failed too often, else 0."`

	// Notices are the tries to tell the app of presence.
	Notices Counters[Notice] `name:"setu_presence_notices_total" labels:"result" help:"Tries to tell the app who comes online and goes, and which rooms are occupied and vacated, by what came of them."`
	// NoticeSeconds is how long notices waited, and were tried.
	NoticeSeconds Histogram `name:"setu_presence_notice_duration_seconds" help:"How long it took until the app had taken a notice of presence."`

	// Ready is 1 when /readyz says so, else 0.
	Ready Gauge `name:"setu_ready" help:"1 when the relay can serve, as /readyz says, else 0."`
	// BuildInfo is 1, and says which build this is.
	BuildInfo Info `name:"setu_build_info" labels:"version,revision,goversion" help:"1, labeled with the build."`

	registry *prometheus.Registry

	mu       sync.Mutex
	onGather []func() // guarded by mu
}

// Metric describes one field of Metrics.
type Metric struct {
	Name   string
	Type   string // as Prometheus calls it: counter, gauge or histogram
	Labels []string
	Help   string
}

// field is what a field of Metrics can be.
type field interface {
	// make makes the metric, with all series whose labels are known, and is called once.
	make(Metric) prometheus.Collector
	kind() string
}

// New returns metrics of which none has counted anything, with what Go and the system say of the
// process beside them. Nothing is shared with another New.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.each(func(d Metric, f field) { m.registry.MustRegister(f.make(d)) })
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// List describes all metrics, in the order of the fields, but for those of Go and the process.
func List() (list []Metric) {
	new(Metrics).each(func(d Metric, _ field) { list = append(list, d) })
	return list
}

// each calls do for every field that is a metric.
func (m *Metrics) each(do func(Metric, field)) {
	v := reflect.ValueOf(m).Elem()
	for _, sf := range reflect.VisibleFields(v.Type()) {
		name := sf.Tag.Get("name")
		if name == "" {
			continue
		}
		f := v.FieldByIndex(sf.Index).Addr().Interface().(field)
		d := Metric{Name: name, Type: f.kind(), Help: sf.Tag.Get("help")}
		if labels := sf.Tag.Get("labels"); labels != "" {
			d.Labels = strings.Split(labels, ",")
		}
		do(d, f)
	}
}

// OnGather has f called whenever the metrics are read, before they are: it sets gauges. It may be
// called several times at once.
func (m *Metrics) OnGather(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onGather = append(m.onGather, f)
}

// How much those who read the metrics may take.
const (
	readers     = 4 // at a time; others are answered 503
	readTimeout = 10 * time.Second
)

// Handler serves the metrics in Prometheus' formats, at whatever path.
func (m *Metrics) Handler() http.Handler {
	read := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: readers, Timeout: readTimeout})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range m.hooks() {
			f()
		}
		read.ServeHTTP(w, r)
	})
}

func (m *Metrics) hooks() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.onGather)
}
