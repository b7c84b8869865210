package engine

import (
	"bytes"
	"io"
	"sync"
)

// headBytes is how much of a message is kept that is too large: more than what says who is to be
// answered.
const headBytes = 512

// partBytes are the parts in which a message is read past its first aheadBytes. A buffer that grows would be
// cleared and copied again and again, much of it at once, while others wait.
const partBytes = 32 << 10

type part [partBytes]byte

var parts = sync.Pool{New: func() any { return new(part) }}

// assembly is a message that is put together. What is kept of it is as large as it is.
type assembly struct {
	first *readBuffer
	more  []*part
	size  int // that has come
	most  int // that it may have
}

// read reads a message until its end, where it returns no error, or until it is larger than it may be: a.most, but
// no more than mostOf of its beginning if there is more than that. For each part past the first it calls pay with
// the part's size.
func (a *assembly) read(r io.Reader, mostOf func(head []byte) int, pay func(n int)) (err error) {
	a.first = readBuffers.Get().(*readBuffer)
	if a.size, err = fill(r, a.first[:min(aheadBytes, a.most+1)]); err == nil {
		a.most = min(a.most, mostOf(a.first[:a.size]))
	}
	for err == nil && !a.isTooLarge() {
		p, n := parts.Get().(*part), 0
		a.more = append(a.more, p)
		n, err = fill(r, p[:min(partBytes, a.most+1-a.size)])
		a.size += n
		pay(n)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func (a *assembly) isTooLarge() bool { return a.size > a.most }

// readPast reads r to its end, and returns how much there was. That it is a bomb does not matter any more.
func readPast(r io.Reader) (size int, err error) {
	p := parts.Get().(*part)
	defer parts.Put(p)
	for err == nil || err == errBomb {
		n := 0
		n, err = fill(r, p[:])
		size += n
	}
	if err == io.EOF {
		return size, nil
	}
	return size, err
}

// fill reads until b is full, or there is an error.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// head returns a copy of the beginning of what has come, of at most headBytes.
func (a *assembly) head() []byte { return bytes.Clone(a.first[:min(a.size, headBytes)]) }

// all returns a copy of what has come.
func (a *assembly) all() []byte {
	if a.size <= aheadBytes {
		return bytes.Clone(a.first[:a.size])
	}
	whole := make([][]byte, 1, 1+len(a.more))
	whole[0] = a.first[:]
	for i, p := range a.more {
		whole = append(whole, p[:min(partBytes, a.size-aheadBytes-i*partBytes)])
	}
	return bytes.Join(whole, nil)
}

// free gives back what the message was put together in.
func (a *assembly) free() {
	readBuffers.Put(a.first)
	for _, p := range a.more {
		parts.Put(p)
	}
}
