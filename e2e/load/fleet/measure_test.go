//go:build linux

package fleet

import (
	"os"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	f := &Fleet{PIDs: []int{os.Getpid()}}
	before, err := f.Usage()
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
	}
	after, err := f.Usage()
	if used := after.Since(before); err != nil || used.Relays < time.Millisecond {
		t.Error(used, err)
	}
	if n, err := f.Memory(); err != nil || n < 1<<20 {
		t.Error(n, err)
	}
	if _, err := (&Fleet{PIDs: []int{1 << 22}}).Usage(); err == nil {
		t.Error("a process that isn't there has used something")
	}
}

// What is started is stopped, and what ends by itself is told with what it said last.
func TestProcess(t *testing.T) {
	p, err := start("sleep", nil, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Alive(); err != nil {
		t.Error(err)
	}
	p.Stop(os.Interrupt)
	if p.Alive() == nil {
		t.Error("it goes on")
	}
	p, err = start("a program", nil, "sh", "-c", "echo because >&2; exit 1")
	if err != nil {
		t.Fatal(err)
	}
	err = p.until(t.Context(), listens(1))
	if want := "a program has ended: because"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
