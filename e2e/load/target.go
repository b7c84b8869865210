//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"syscall"

	"setu/e2e/load/fleet"
)

// target is what is measured.
type target struct {
	name  string
	start func(ctx context.Context) (*fleet.Fleet, error)
	stop  func(*fleet.Fleet)
}

// Names of targets.
const (
	theRelays = "relays"
	theLimit  = "limit"
)

// targets returns what a plan is for.
func (o *options) targets(p plan) []target {
	out := []target{o.startsRelays(p, cmp.Or(p.relays, o.relays), o.memory)}
	if o.given != nil {
		out = []target{{theRelays, func(context.Context) (*fleet.Fleet, error) { return o.given, nil }, func(*fleet.Fleet) {}}}
	}
	if o.smoke && p.name == "small" && !o.memory {
		out = append(out, o.startsRelays(p, 1, true))
	}
	if o.limit && p.limit && (!o.smoke || p.name == "small") {
		out = append(out, target{theLimit, startLimit, kill})
	}
	return out
}

func kill(f *fleet.Fleet) { f.Stop(nil) }

func startLimit(ctx context.Context) (*fleet.Fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return fleet.StartBare(ctx, self, asBare)
}

// startsRelays returns the relays as a target: as they ship, or, if the plan asks for garbage to be collected, this
// program as one.
func (o *options) startsRelays(p plan, n int, memory bool) target {
	if memory { // which they can't share
		n = 1
	}
	return target{theRelays, func(ctx context.Context) (*fleet.Fleet, error) {
		fo := fleet.Options{Relays: n, Redis: !memory, Env: fleet.Unlimited(max(19_000, p.clients+100))}
		var err error
		if p.collects {
			fo.Args = []string{asRelay}
			fo.Program, err = os.Executable()
		} else {
			fo.Program, err = o.program()
		}
		if err != nil {
			return nil, err
		}
		return fleet.Start(ctx, fo)
	}, kill}
}

// raiseFiles raises the bound of descriptors so that there may be as many clients, and says if that can't be.
func raiseFiles(clients int) error {
	const others = 100
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	want := uint64(clients + others)
	if l.Cur >= want {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: max(want, l.Max)}); err != nil {
		return fmt.Errorf("%d clients take as many descriptors, and this process may have %d: raise ulimit -n, or use -scale", clients, l.Max)
	}
	return nil
}
