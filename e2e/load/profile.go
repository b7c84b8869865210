//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"setu/e2e/load/fleet"
)

// mix is what a profile is taken of: storms of connects, small rooms and large ones, publishes, and returns.
func mix(o *options) (out []plan) {
	for _, p := range plans(o) {
		switch p.name {
		case "small", "medium", "large", "return":
			p.limit, p.collects = false, true
			out = append(out, p)
		}
	}
	return out
}

// takeProfile runs a mix of plans on two relays over one Redis, and merges what the relays have spent their time on.
func takeProfile(ctx context.Context, o *options) (err error) {
	if o.memory {
		return errors.New("-profile takes a redis-server: install one")
	}
	directory, err := os.MkdirTemp("", "setu-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := fleet.Start(ctx, fleet.Options{Program: self, Args: []string{asRelay, "-cpuprofile", directory}, Relays: o.relays, Redis: true,
		Env: fleet.Unlimited(19_000)})
	if err != nil {
		return err
	}
	results, err := runMix(ctx, o, f)
	f.Stop(syscall.SIGTERM) // with which they write their profiles
	if err != nil {
		return err
	}
	o.progress.done()
	if err := errors.Join(table(os.Stdout, results), faultsOf(results)); err != nil {
		return err
	}
	return merge(directory, o.profile)
}

func runMix(ctx context.Context, o *options, f *fleet.Fleet) (results []result, err error) {
	t := target{theRelays, func(context.Context) (*fleet.Fleet, error) { return f, nil }, func(*fleet.Fleet) {}}
	for _, p := range mix(o) {
		r, err := o.try(ctx, t, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// merge makes one profile of those in a directory.
func merge(directory, to string) error {
	files, err := filepath.Glob(filepath.Join(directory, "*"+profileSuffix))
	if err != nil {
		return err
	}
	args := append([]string{"tool", "pprof", "-proto", "-output", to}, files...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go tool pprof: %w: %s", err, out)
	}
	return nil
}
