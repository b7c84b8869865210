//go:build unix

package engine

import "syscall"

// tryWrite is one write to a descriptor that does not wait.
type tryWrite struct {
	buf []byte
	n   int
	err error
}

// write is called with the descriptor; true says not to wait for it.
func (w *tryWrite) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.buf)
		switch err {
		case nil:
			w.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			w.err = err
		}
		return true
	}
}
