package public

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"
)

// asset is one file of the page in the encodings that go generate left.
type asset struct {
	contentType string
	hash        string // of the content, the same in every encoding
	immutable   bool   // the name changes with the content
	encoded     map[string][]byte

	// plain gives the bytes without an encoding. The program is kept in its
	// compressed forms alone: hardly anyone asks for the other three megabytes.
	plain func() ([]byte, error)
}

// hashed matches the names that the build derives from content.
var hashed = regexp.MustCompile(`\.[0-9a-f]{16}\.`)

// encodings maps the file endings that the build writes to their names on the
// wire, best first.
var encodings = []struct{ ending, name string }{{".br", "br"}, {".gz", "gzip"}}

// loadAssets reads what was generated, by the name that the browser asks for.
func loadAssets(files fs.FS) (map[string]*asset, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	assets := make(map[string]*asset)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		body, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return nil, err
		}
		addFile(assets, entry.Name(), body)
	}
	for name, a := range assets {
		if err := a.finish(name); err != nil {
			return nil, err
		}
	}
	return assets, nil
}

func addFile(assets map[string]*asset, file string, body []byte) {
	name, encoding := file, ""
	for _, e := range encodings {
		if base, ok := strings.CutSuffix(file, e.ending); ok {
			name, encoding = base, e.name
		}
	}
	a := assets[name]
	if a == nil {
		a = &asset{encoded: make(map[string][]byte)}
		assets[name] = a
	}
	a.encoded[encoding] = body
}

// finish works out what follows from the name and the bytes.
func (a *asset) finish(name string) error {
	a.contentType = contentType(name)
	a.immutable = hashed.MatchString(name)
	if body, ok := a.encoded[""]; ok {
		a.plain = func() ([]byte, error) { return body, nil }
		delete(a.encoded, "")
		a.hash = digest(body)
		return nil
	}
	packed, ok := a.encoded["gzip"]
	if !ok {
		return fmt.Errorf("public: %s has neither a plain nor a gzip form", name)
	}
	a.plain = sync.OnceValues(func() ([]byte, error) { return gunzip(packed) })
	a.hash = digest(packed)
	return nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// contentType is spelled out, because the system's table of types differs from
// machine to machine, and a browser compiles a stream only as application/wasm.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".wasm":
		return "application/wasm"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return "application/octet-stream"
}
