//go:build !unix

package relay

// attempt takes nothing at once here: the client's own goroutine writes.
type attempt struct {
	buf []byte
	n   int
	err error
}

func (a *attempt) write(uintptr) bool { return true }
