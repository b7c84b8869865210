// Replay runs the simulation so that a seed repeats exactly, to the order of goroutines that are ready
// at one instant: it builds the simulation's tests for WebAssembly (GOOS=wasip1), which runs on one
// thread that nothing preempts, and gives them random bytes and clocks that are the same each time, so
// that select, maps and generators that take no seed choose the same, too. It takes the flags of
// TestWorlds, and runs ten times slower than go test.
//
//	go run ./relay/broker/simulation/replay -seed 7
//	go run ./relay/broker/simulation/replay -order 3 -seed 7
//	go run ./relay/broker/simulation/replay -seed 7 -worlds 50 -hunt
//
// What go test finds in a seed came about in one order of many: -order, which comes first, numbers them.
// The clocks that the tests see outside a world move with each look at them, so -for and -shrink count
// such looks, in milliseconds.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

func main() {
	args, order := os.Args[1:], uint64(1)
	if len(args) > 1 && args[0] == "-order" {
		n, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			fail(fmt.Errorf("-order %q is no number", args[1]))
		}
		args, order = args[2:], n
	}
	tests, err := build()
	if err == nil {
		err = run(tests, order, args, os.Stdout)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "replay:", err)
	os.Exit(1)
}

// build returns the tests of the simulation as a WebAssembly module.
func build() ([]byte, error) {
	dir, err := os.MkdirTemp("", "setu-replay")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "simulation.wasm")
	c := exec.Command("go", "test", "-c", "-o", file, "setu/relay/broker/simulation")
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("building the tests: %w", err)
	}
	return os.ReadFile(file)
}

// run runs the tests with nothing but what order decides. wazero's clocks are fakes unless it is told
// otherwise: each look at them moves them by a millisecond.
func run(tests []byte, order uint64, args []string, out io.Writer) error {
	ctx := context.Background()
	config := wazero.NewRuntimeConfig()
	if dir, err := os.UserCacheDir(); err == nil {
		if cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "setu-replay")); err == nil {
			config = config.WithCompilationCache(cache)
		}
	}
	r := wazero.NewRuntimeWithConfig(ctx, config)
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	module, err := r.CompileModule(ctx, tests)
	if err != nil {
		return err
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], order)
	args = append([]string{"simulation", "-test.run=^TestWorlds$", "-test.v", "-test.timeout=0", "-shrink=1h"}, args...)
	_, err = r.InstantiateModule(ctx, module, wazero.NewModuleConfig().WithArgs(args...).
		WithRandSource(rand.NewChaCha8(seed)).WithStdout(out).WithStderr(out))
	return err
}
