//go:build unix

package relay

import "syscall"

// openFiles returns how many files this process may have open. Go has raised that to the hard
// limit.
func openFiles() (limit uint64, ok bool) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return uint64(l.Cur), err == nil
}
