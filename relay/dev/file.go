package dev

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// maxRules bounds a file of rules, in bytes.
const maxRules = 1 << 20

// rulesFile is a file of rules, which is read again when it has changed.
type rulesFile struct {
	// immutable after openRules
	path string // empty: there is none
	say  func(error)

	mu sync.Mutex // guards what follows

	stamp stamp
	rules *Rules
}

// stamp tells one state of a file from another.
type stamp struct {
	size    int64
	changed time.Time
}

// openRules reads the rules at a path. If it can't be read again later, say is told once for each change, and
// the rules stay as they were.
func openRules(path string, say func(error)) (*rulesFile, error) {
	f := &rulesFile{path: path, say: say}
	if path == "" {
		return f, nil
	}
	var err error
	f.stamp, f.rules, err = readRules(path)
	return f, err
}

func readRules(path string) (at stamp, r *Rules, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return at, nil, err
	}
	if at = stampOf(info); at.size > maxRules {
		return at, nil, fmt.Errorf("%s has %d bytes: at most %d are read", path, at.size, maxRules)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return at, nil, err
	}
	if r, err = ParseRules(text); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return at, r, err
}

func stampOf(info os.FileInfo) stamp { return stamp{info.Size(), info.ModTime()} }

// current returns the rules as the file has them now.
func (f *rulesFile) current() *Rules {
	if f.path == "" {
		return nil
	}
	info, err := os.Stat(f.path)
	if err != nil || !f.isNew(stampOf(info)) { // it may be between two names: an editor is saving it
		return f.last()
	}
	_, r, err := readRules(f.path)
	if err != nil {
		f.say(fmt.Errorf("the rules stay as they were: %w", err))
		return f.last()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = r
	return r
}

// isNew reports whether this state of the file has not been seen, and notes it.
func (f *rulesFile) isNew(at stamp) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	is := at != f.stamp
	f.stamp = at
	return is
}

func (f *rulesFile) last() *Rules {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rules
}
