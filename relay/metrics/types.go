package metrics

import "github.com/prometheus/client_golang/prometheus"

// label is a closed set of a label's values.
type label[L any] interface {
	~string
	// values returns those that are shown from the beginning, though nothing has happened: a rate is
	// seen from the first time on. What is left out is shown once it has happened.
	values() []L
}

// Counter counts.
type Counter struct{ prometheus.Counter }

func (c *Counter) kind() string { return "counter" }

func (c *Counter) make(d Metric) prometheus.Collector {
	c.Counter = prometheus.NewCounter(prometheus.CounterOpts{Name: d.Name, Help: d.Help})
	return c.Counter
}

// Gauge is a number that rises and falls.
type Gauge struct{ prometheus.Gauge }

func (g *Gauge) kind() string { return "gauge" }

func (g *Gauge) make(d Metric) prometheus.Collector {
	g.Gauge = prometheus.NewGauge(prometheus.GaugeOpts{Name: d.Name, Help: d.Help})
	return g.Gauge
}

// Info is a gauge of 1 whose labels tell something.
type Info struct{ vec *prometheus.GaugeVec }

func (i *Info) kind() string { return "gauge" }

func (i *Info) make(d Metric) prometheus.Collector {
	i.vec = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, d.Labels)
	return i.vec
}

// Tell states the labels, in their order.
func (i *Info) Tell(values ...string) {
	i.vec.Reset()
	i.vec.WithLabelValues(values...).Set(1)
}

// Counters is a counter with a label. What happens often keeps what Of returns.
type Counters[L label[L]] struct {
	vec   *prometheus.CounterVec
	known map[L]prometheus.Counter // immutable after make
}

func (c *Counters[L]) kind() string { return "counter" }

func (c *Counters[L]) make(d Metric) prometheus.Collector {
	c.vec = prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
	c.known = resolve(func(v L) prometheus.Counter { return c.vec.WithLabelValues(string(v)) })
	return c.vec
}

// Of returns the counter of one value.
func (c *Counters[L]) Of(v L) prometheus.Counter {
	if known, ok := c.known[v]; ok {
		return known
	}
	return c.vec.WithLabelValues(string(v))
}

// resolve looks the known values of a label up, once.
func resolve[L label[L], M any](look func(L) M) map[L]M {
	var l L
	known := map[L]M{}
	for _, v := range l.values() {
		known[v] = look(v)
	}
	return known
}

// Gauges is a gauge with a label.
type Gauges[L label[L]] struct {
	vec   *prometheus.GaugeVec
	known map[L]prometheus.Gauge // immutable after make
}

func (g *Gauges[L]) kind() string { return "gauge" }

func (g *Gauges[L]) make(d Metric) prometheus.Collector {
	g.vec = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, d.Labels)
	g.known = resolve(func(v L) prometheus.Gauge { return g.vec.WithLabelValues(string(v)) })
	return g.vec
}

// Of returns the gauge of one value.
func (g *Gauges[L]) Of(v L) prometheus.Gauge {
	if known, ok := g.known[v]; ok {
		return known
	}
	return g.vec.WithLabelValues(string(v))
}

// Counters2 is a counter with two labels.
type Counters2[A label[A], B label[B]] struct {
	vec   *prometheus.CounterVec
	known map[A]map[B]prometheus.Counter // immutable after make
}

func (c *Counters2[A, B]) kind() string { return "counter" }

func (c *Counters2[A, B]) make(d Metric) prometheus.Collector {
	c.vec = prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
	c.known = resolve(func(a A) map[B]prometheus.Counter {
		return resolve(func(b B) prometheus.Counter { return c.vec.WithLabelValues(string(a), string(b)) })
	})
	return c.vec
}

// Of returns the counter of two values.
func (c *Counters2[A, B]) Of(a A, b B) prometheus.Counter {
	if known, ok := c.known[a][b]; ok {
		return known
	}
	return c.vec.WithLabelValues(string(a), string(b))
}

// tripBuckets are for what takes a trip to the store: next door, across an ocean, or a failing one.
var tripBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// Histogram counts durations, in seconds, by how long they were.
type Histogram struct{ prometheus.Histogram }

func (h *Histogram) kind() string { return "histogram" }

func (h *Histogram) make(d Metric) prometheus.Collector {
	h.Histogram = prometheus.NewHistogram(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: tripBuckets})
	return h.Histogram
}

// Histograms is a histogram with a label.
type Histograms[L label[L]] struct{ vec *prometheus.HistogramVec }

func (h *Histograms[L]) kind() string { return "histogram" }

func (h *Histograms[L]) make(d Metric) prometheus.Collector {
	h.vec = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: tripBuckets}, d.Labels)
	return h.vec
}

// Of returns the histogram of one value.
func (h *Histograms[L]) Of(v L) prometheus.Observer { return h.vec.WithLabelValues(string(v)) }
