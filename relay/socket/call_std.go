//go:build unix && (!linux || race)

package socket

import "syscall"

func read(fd uintptr, p []byte) (int, syscall.Errno)  { return call(syscall.Read, fd, p) }
func write(fd uintptr, p []byte) (int, syscall.Errno) { return call(syscall.Write, fd, p) }

// call makes a system call as the standard library does: only Linux lets a program make it itself, and
// the race detector takes what goes through a socket for an order of events only if it is told.
func call(f func(int, []byte) (int, error), fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := f(int(fd), p)
		if err == nil {
			return n, 0
		}
		if err != syscall.EINTR {
			errno, _ := err.(syscall.Errno)
			return 0, errno
		}
	}
}
