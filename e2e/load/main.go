//go:build linux

// Command load measures relays under load, beside the bare limit of what any relay could do, on one machine.
// It checks by sequence numbers that nothing is lost, comes twice or comes in another order: if something was, the
// exit status is 1, whatever the figures say.
//
//	go run ./e2e/load                               everything: two relays over Redis, the bare limit, and their ratio
//	go run ./e2e/load -plans small -reps 3          a part of it, three times over
//	go run ./e2e/load -plot docs/performance        how cost grows, as plots
//	go run ./e2e/load -profile default.pgo          a CPU profile of relays under a mix of it all
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"setu/e2e/load/bare"
)

func main() {
	runtime.LockOSThread() // processes that are started end with the thread that has started them
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// The program is also what it measures: the bare limit, and a relay that can be asked for a profile.
const (
	asBare  = "bare"
	asRelay = "relay"
)

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == asBare {
		port, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("the port of %s: %w", asBare, err)
		}
		return bare.Serve(ctx, port)
	}
	if len(args) > 0 && args[0] == asRelay {
		return serveRelay(ctx, args[1:])
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // a generator's garbage is to cost the relays beside it little
	defer o.cleanUp()
	switch {
	case o.profile != "":
		return takeProfile(ctx, o)
	case o.plot != "":
		return plotAll(ctx, o)
	}
	return measureAll(ctx, o)
}

// measureAll runs the plans, and prints what they found.
func measureAll(ctx context.Context, o *options) error {
	var results []result
	for rep := range o.reps {
		for _, p := range o.plans {
			for _, t := range o.targets(p) {
				r, err := o.try(ctx, t, p)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", t.name, p.name, err)
				}
				r.Rep = rep + 1
				results = append(results, r)
			}
		}
	}
	o.progress.done()
	if err := report(os.Stdout, o, results); err != nil {
		return err
	}
	return faultsOf(results)
}
