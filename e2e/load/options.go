//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"setu/e2e/load/fleet"
)

// options are what the command line says.
type options struct {
	plans         []plan
	sweeps        []sweep
	reps, payload int
	window        time.Duration
	scale         float64
	limit, memory bool
	relays        int
	relay         string // the program
	json          string
	plot, profile string
	smoke         bool

	given    *fleet.Fleet // that runs already
	progress *progress

	directory string // of the relay, if it was built; "" if not
}

// raw are the flags whose words have to be read first.
type raw struct {
	plans, urls, pids string
	redisPID          int
	seconds           float64
}

func parse(args []string, out io.Writer) (*options, error) {
	o, words := &options{progress: newProgress(os.Stderr)}, raw{}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&words.plans, "plans", "", "which to run, comma-separated; default all")
	f.IntVar(&o.reps, "reps", 1, "how often to run each: the table has medians then, and ranges")
	f.Float64Var(&words.seconds, "seconds", 6, "seconds of a window in which is measured")
	f.Float64Var(&o.scale, "scale", 1, "how many clients, as a share of the plan's")
	f.IntVar(&o.payload, "payload", 128, "bytes of a message")
	f.BoolVar(&o.limit, "limit", true, "measure the bare limit, too")
	f.IntVar(&o.relays, "relays", 2, "relays to start")
	f.BoolVar(&o.memory, "memory", false, "start one relay that keeps its rooms in memory, and no Redis")
	f.StringVar(&o.relay, "relay", "", "a relay's `program` to start; default one is built of this module")
	f.StringVar(&words.urls, "urls", "", "relays that run already, comma-separated, like http://127.0.0.1:8080, instead of starting some")
	f.StringVar(&words.pids, "pids", "", "with -urls: their process ids, comma-separated, to measure them")
	f.IntVar(&words.redisPID, "redis-pid", 0, "with -urls: Redis' process id")
	f.StringVar(&o.json, "json", "", "a `file` for all figures as JSON; -: standard output, instead of the table")
	f.StringVar(&o.plot, "plot", "", "measure how cost grows instead, and write the plots into this `directory`; -plans names some of members,rooms,connections,payload,relays then")
	f.StringVar(&o.profile, "profile", "", "take a CPU profile of relays instead, and write it into this `file`")
	f.BoolVar(&o.smoke, "smoke", false, "run everything for a few seconds with few clients: only faults count")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			help(out, f)
		}
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q: load takes flags only; -h lists them", f.Arg(0))
	}
	return o, o.read(words)
}

func help(out io.Writer, f *flag.FlagSet) {
	fmt.Fprint(out, "load measures relays under load, beside the bare limit. Settings of the relays are taken from the environment.\n\nplans:\n")
	for _, p := range plans(&options{scale: 1, window: time.Second}) {
		fmt.Fprintf(out, "  %-9s %s\n", p.name, p.about)
	}
	fmt.Fprint(out, "\nflags:\n")
	f.SetOutput(out)
	f.PrintDefaults()
}

// refuse is the error of a flag that got what it doesn't take.
func refuse(name string, got any, takes string) error {
	return fmt.Errorf("-%s got %v; it takes %s", name, got, takes)
}

// read checks the flags.
func (o *options) read(words raw) error {
	var wrong []error
	check := func(good bool, name string, got any, takes string) {
		if !good {
			wrong = append(wrong, refuse(name, got, takes))
		}
	}
	check(o.reps >= 1 && o.reps <= 100, "reps", o.reps, "1 to 100")
	check(words.seconds >= .1 && words.seconds <= 600, "seconds", words.seconds, "0.1 to 600")
	check(o.scale > 0 && o.scale <= 10, "scale", o.scale, "a share, over 0 up to 10")
	check(o.payload >= 16 && o.payload <= 900_000, "payload", o.payload, "16 to 900000 bytes")
	check(o.relays >= 1 && o.relays <= 16, "relays", o.relays, "1 to 16")
	check(words.urls != "" || words.pids == "", "pids", words.pids, "nothing without -urls")
	check(words.urls != "" || words.redisPID == 0, "redis-pid", words.redisPID, "nothing without -urls")
	check(o.relay == "" || words.urls == "", "relay", o.relay, "nothing with -urls")
	check(o.plot == "" || o.profile == "", "profile", o.profile, "nothing with -plot")
	check(o.profile == "" || !o.memory && words.urls == "", "profile", o.profile, "neither -memory nor -urls")
	if o.smoke {
		words.seconds, o.scale = .2, .01
	}
	o.window = time.Duration(words.seconds * float64(time.Second))
	if o.memory || words.urls == "" && !fleet.HaveRedis() {
		o.memory, o.relays = true, 1
	}
	return errors.Join(append(wrong, o.readPlans(words.plans), o.readURLs(words), o.readRelay())...)
}

func (o *options) readRelay() error {
	if o.relay == "" {
		return nil
	}
	path, err := exec.LookPath(o.relay)
	if err != nil {
		return refuse("relay", o.relay, "a program ("+err.Error()+")")
	}
	o.relay, err = filepath.Abs(path)
	return err
}

// readPlans reads which plans are to run or, with -plot, which sweeps.
func (o *options) readPlans(names string) (err error) {
	if o.plot != "" {
		o.sweeps, err = pick(names, sweeps(o), func(s sweep) string { return s.name })
		return err
	}
	o.plans, err = pick(names, plans(o), func(p plan) string { return p.name })
	return err
}

// pick returns those of all that are named, or all if none is.
func pick[T any](names string, all []T, nameOf func(T) string) (some []T, err error) {
	if names == "" {
		return all, nil
	}
	var known []string
	for _, one := range all {
		known = append(known, nameOf(one))
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.Index(known, strings.TrimSpace(name))
		if i < 0 {
			return nil, refuse("plans", strconv.Quote(name), "some of "+strings.Join(known, ","))
		}
		some = append(some, all[i])
	}
	return some, nil
}

func (o *options) readURLs(words raw) error {
	if words.urls == "" {
		return nil
	}
	f := &fleet.Fleet{Redis: words.redisPID}
	for text := range strings.SplitSeq(words.urls, ",") {
		at, err := addressOf(text)
		if err != nil {
			return refuse("urls", strconv.Quote(text), "http:// URLs with an IPv4 host and a port ("+err.Error()+")")
		}
		f.Addresses = append(f.Addresses, at)
	}
	for text := range strings.SplitSeq(words.pids, ",") {
		pid, err := strconv.Atoi(strings.TrimSpace(text))
		if text == "" {
			continue
		}
		if err != nil {
			return refuse("pids", strconv.Quote(text), "process ids, comma-separated")
		}
		f.PIDs = append(f.PIDs, pid)
	}
	if _, err := f.Usage(); err != nil {
		return fmt.Errorf("-pids and -redis-pid take processes that run: %w", err)
	}
	o.given, o.relays = f, len(f.Addresses)
	return nil
}

func addressOf(text string) (at netip.AddrPort, err error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return at, err
	}
	if u.Scheme != "http" || u.Port() == "" {
		return at, errors.New("not http://, or without a port")
	}
	resolved, err := net.ResolveTCPAddr("tcp4", u.Host)
	if err != nil {
		return at, err
	}
	at = resolved.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// program returns the relay's program, which is built if none was given.
func (o *options) program() (string, error) {
	if o.relay != "" {
		return o.relay, nil
	}
	directory, err := os.MkdirTemp("", "setu-load-")
	if err != nil {
		return "", err
	}
	o.directory = directory
	o.relay = filepath.Join(directory, "setu")
	o.progress.say("go build: the relay")
	cmd := exec.Command("go", "build", "-o", o.relay, "setu")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return o.relay, nil
}

// cleanUp removes what was built.
func (o *options) cleanUp() {
	if o.directory != "" {
		_ = os.RemoveAll(o.directory)
	}
}
