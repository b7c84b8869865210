//go:build linux

// Package fleet starts the relays that a load generator measures, and the Redis that they share, and measures
// their processes from outside.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Fleet is relays, and perhaps a Redis, that run.
type Fleet struct {
	Addresses []netip.AddrPort
	PIDs      []int // of the relays
	Redis     int   // its process id; 0: there is none, or it is not known

	relays    []*Process
	redis     *Process
	directory string
}

// Options say what to start.
type Options struct {
	Program string // and its arguments
	Args    []string
	Relays  int
	Redis   bool // a redis-server for them; else each keeps its rooms in memory
	Env     []string
}

// HaveRedis reports whether there is a redis-server to start.
func HaveRedis() bool {
	_, err := exec.LookPath("redis-server")
	return err == nil
}

// Unlimited are the settings with which a relay takes a load of one machine. All others are as they ship.
func Unlimited(connections int) []string {
	return []string{"MAX_ADDRESS_CONNECTIONS=0", "MAX_UNCONNECTED=0", "HANDSHAKE_RATE=off", "HANDSHAKES_RATE=off",
		"MAX_CONNECTIONS=" + strconv.Itoa(connections), "LOG_LEVEL=warn"}
}

// Start starts a fleet, and waits until it is ready.
func Start(ctx context.Context, o Options) (f *Fleet, err error) {
	f = &Fleet{}
	defer func() {
		if err != nil {
			f.Stop(nil)
		}
	}()
	env := o.Env
	if o.Redis {
		url, err := f.startRedis(ctx)
		if err != nil {
			return f, err
		}
		env = append([]string{"REDIS_URL=" + url}, env...)
	}
	for i := range o.Relays {
		if err := f.startRelay(ctx, fmt.Sprint("relay-", i+1), o, env); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (f *Fleet) startRedis(ctx context.Context) (url string, err error) {
	if f.directory, err = os.MkdirTemp("", "setu-load-"); err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	f.redis, err = start("redis-server", nil, "redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", f.directory)
	if err != nil {
		return "", err
	}
	f.Redis = f.redis.PID()
	return fmt.Sprint("redis://127.0.0.1:", port), f.redis.until(ctx, listens(port))
}

func (f *Fleet) startRelay(ctx context.Context, name string, o Options, env []string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	env = append([]string{"HOST=127.0.0.1", "PORT=" + strconv.Itoa(port), "RELAY_ID=" + name}, env...)
	p, err := start(name, env, o.Program, o.Args...)
	if err != nil {
		return err
	}
	f.relays = append(f.relays, p)
	f.PIDs = append(f.PIDs, p.PID())
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
	f.Addresses = append(f.Addresses, at)
	return p.until(ctx, func() error { return ready(ctx, at) })
}

// ready returns nil if a relay is.
func ready(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+"/readyz", nil)
	if err != nil {
		return err
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// StartBare starts the bare limit, which is one process whatever is asked for.
func StartBare(ctx context.Context, program string, args ...string) (f *Fleet, err error) {
	f = &Fleet{}
	port, err := freePort()
	if err != nil {
		return f, err
	}
	p, err := start("the bare limit", nil, program, append(args, strconv.Itoa(port))...)
	if err != nil {
		return f, err
	}
	f.relays, f.PIDs = []*Process{p}, []int{p.PID()}
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
	f.Addresses = []netip.AddrPort{at, at} // for members that are on different ones elsewhere
	if err = p.until(ctx, listens(port)); err != nil {
		f.Stop(nil)
	}
	return f, err
}

// Alive returns an error if one of the processes has ended.
func (f *Fleet) Alive() error {
	var wrong []error
	for _, p := range f.relays {
		wrong = append(wrong, p.Alive())
	}
	if f.redis != nil {
		wrong = append(wrong, f.redis.Alive())
	}
	return errors.Join(wrong...)
}

// FreeMemory has the relays collect garbage, and give back what is free, if they are such that can be asked to.
func (f *Fleet) FreeMemory() {
	for _, p := range f.relays {
		_ = p.cmd.Process.Signal(syscall.SIGUSR1)
	}
}

// Stop ends all that was started; with a signal relays end when they are done.
func (f *Fleet) Stop(s os.Signal) {
	for _, p := range f.relays {
		p.Stop(s)
	}
	if f.redis != nil {
		f.redis.Stop(nil)
	}
	if f.directory != "" {
		_ = os.RemoveAll(f.directory)
	}
}
