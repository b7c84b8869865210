//go:build unix

package relay

import "syscall"

// attempt is one write to a descriptor that does not block.
type attempt struct {
	buf []byte
	n   int
	err error
}

// write is called with the descriptor; true says never to wait for it.
func (a *attempt) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), a.buf)
		switch err {
		case nil:
			a.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			a.err = err
		}
		return true
	}
}
