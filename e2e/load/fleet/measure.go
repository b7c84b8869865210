//go:build linux

package fleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the processor time that a process has used so far.
func CPU(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: to the nanosecond, as the scheduler counts
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

// RSS returns the bytes of memory that a process holds.
func RSS(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(status, []byte("\nVmRSS:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("process %d has no memory", pid)
	}
	kilobytes, err := strconv.Atoi(string(fields[0]))
	return kilobytes << 10, err
}

// Usage is what processes have used so far.
type Usage struct {
	At            time.Time
	Relays, Redis time.Duration
	Self          time.Duration // the load generator
	Others        time.Duration // all other processes of the machine, to hundredths of a second each
}

// Usage measures the fleet's processes, and all others.
func (f *Fleet) Usage() (u Usage, err error) {
	u.At = time.Now()
	for _, pid := range f.PIDs {
		used, err := CPU(pid)
		if err != nil {
			return u, err
		}
		u.Relays += used
	}
	if f.Redis != 0 {
		if u.Redis, err = CPU(f.Redis); err != nil {
			return u, err
		}
	}
	if u.Self, err = CPU(os.Getpid()); err != nil {
		return u, err
	}
	u.Others = others(append([]int{os.Getpid(), f.Redis}, f.PIDs...))
	return u, nil
}

// Since returns what was used from v to u.
func (u Usage) Since(v Usage) Usage {
	return Usage{u.At, u.Relays - v.Relays, u.Redis - v.Redis, u.Self - v.Self, u.Others - v.Others}
}

// others returns the processor time of all processes but some, with that of their children that have ended.
func others(but []int) (sum time.Duration) {
	const ticks = 100 // a second, on Linux
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range files {
		pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
		stat, err := os.ReadFile(name)
		end := bytes.LastIndexByte(stat, ')')
		if err != nil || end < 0 || slices.Contains(but, pid) {
			continue // it has just ended
		}
		const utime, cstime = 11, 14 // counted from behind the name
		if fields := bytes.Fields(stat[end+1:]); len(fields) > cstime {
			for _, f := range fields[utime : cstime+1] {
				n, _ := strconv.Atoi(string(f))
				sum += time.Duration(n) * time.Second / ticks
			}
		}
	}
	return sum
}

// Memory returns the bytes that the relays hold.
func (f *Fleet) Memory() (sum int, err error) {
	for _, pid := range f.PIDs {
		n, err := RSS(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// RedisMemory returns the bytes that Redis holds.
func (f *Fleet) RedisMemory() (int, error) {
	if f.Redis == 0 {
		return 0, nil
	}
	return RSS(f.Redis)
}
