//go:build !unix

package engine

// tryWrite takes nothing at once here: the client's own goroutine writes.
type tryWrite struct {
	buf []byte
	n   int
	err error
}

func (w *tryWrite) write(uintptr) bool { return true }
