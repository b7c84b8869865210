package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/andybalholm/brotli"
)

// writer writes files and their compressed forms into the output directory, and removes those of
// earlier builds.
type writer struct {
	dir     string
	written map[string]bool
	sizes   []size
}

// size is the size of a file and of its compressed forms, in bytes.
type size struct {
	name            string
	plain, gz, brot int
}

func newWriter(dir string) (*writer, error) {
	return &writer{dir: dir, written: map[string]bool{".keep": true}}, os.MkdirAll(dir, 0o755)
}

// writeHashed writes a file under a name that contains a hash of its content, and returns the name.
func (w *writer) writeHashed(file string, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	ending := filepath.Ext(file)
	name := strings.TrimSuffix(file, ending) + "." + hex.EncodeToString(sum[:8]) + ending
	return name, w.write(name, body)
}

// write writes a file and its compressed forms.
func (w *writer) write(name string, body []byte) error {
	s := size{name: name, plain: len(body)}
	if filepath.Ext(name) != ".wasm" { // the program is kept in compressed form alone
		if err := w.replaceFile(name, body); err != nil {
			return err
		}
	}
	if filepath.Ext(name) != ".png" { // these are compressed already
		var err error
		if s.gz, err = w.writeCompressed(name, ".gz", body, compressGzip); err != nil {
			return err
		}
		if s.brot, err = w.writeCompressed(name, ".br", body, compressBrotli); err != nil {
			return err
		}
	}
	w.sizes = append(w.sizes, s)
	return nil
}

// writeCompressed writes one compressed form and returns its size. The program, whose name contains
// its hash and whose compression is slow, is not compressed again if the file exists.
func (w *writer) writeCompressed(name, ending string, body []byte, pack func([]byte) ([]byte, error)) (int, error) {
	if old, err := os.ReadFile(filepath.Join(w.dir, name+ending)); err == nil && filepath.Ext(name) == ".wasm" {
		w.written[name+ending] = true
		return len(old), nil
	}
	packed, err := pack(body)
	if err != nil {
		return 0, err
	}
	return len(packed), w.replaceFile(name+ending, packed)
}

// replaceFile replaces a file atomically, so that an interrupted build leaves no half of one.
func (w *writer) replaceFile(name string, body []byte) error {
	w.written[name] = true
	target := filepath.Join(w.dir, name)
	if old, err := os.ReadFile(target); err == nil && bytes.Equal(old, body) {
		return nil
	}
	half := filepath.Join(w.dir, ".half-"+name)
	if err := os.WriteFile(half, body, 0o644); err != nil {
		return err
	}
	return os.Rename(half, target)
}

// removeStale removes the files of earlier builds.
func (w *writer) removeStale() error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if w.written[entry.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(w.dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// report prints the size of each file, plain and compressed.
func (w *writer) report(out io.Writer) {
	total := size{name: "total"}
	for _, s := range w.sizes {
		if s.brot == 0 || s.name == "token.html" {
			continue // an icon for the home screen, or what is served in place of index.html
		}
		_, _ = fmt.Fprintf(out, "%-32s %9d bytes, gzip %8d, brotli %8d\n", s.name, s.plain, s.gz, s.brot)
		total.plain, total.gz, total.brot = total.plain+s.plain, total.gz+s.gz, total.brot+s.brot
	}
	_, _ = fmt.Fprintf(out, "%-32s %9d bytes, gzip %8d, brotli %8d\n", total.name, total.plain, total.gz, total.brot)
}

func compressGzip(body []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func compressBrotli(body []byte) ([]byte, error) {
	var out bytes.Buffer
	// The window covers the whole program; browsers accept up to 24 bits.
	b := brotli.NewWriterOptions(&out, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: 24})
	if _, err := b.Write(body); err != nil {
		return nil, err
	}
	if err := b.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
