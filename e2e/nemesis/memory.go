// Package nemesis is what happens to relays and Redis that no container can do: relays as processes of
// this machine, each with a link to Redis of its own.
package nemesis

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

var peakMemory = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// Peak is the most memory that the process has had so far, in bytes, as the kernel counts what is
// resident.
func (r *Relay) Peak() int64 {
	r.t.Helper()
	r.mu.Lock()
	pid := r.process.Process.Pid
	r.mu.Unlock()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		r.t.Fatalf("%s: %v", r.name, err)
	}
	found := peakMemory.FindSubmatch(status)
	if found == nil {
		r.t.Fatalf("%s: no VmHWM in\n%s", r.name, status)
	}
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		r.t.Fatalf("%s: %v", r.name, err)
	}
	return kilobytes << 10
}
