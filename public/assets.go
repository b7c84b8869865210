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

// asset is one file of the page, in the encodings that go generate made.
type asset struct {
	contentType string
	hash        string // of the content, the same for every encoding
	immutable   bool   // the file's name changes with its content
	private     bool   // no cache but the browser's own may keep it
	encoded     map[string][]byte

	// identity returns the file without an encoding. The program is embedded in its compressed
	// forms alone, because hardly any client asks for the other three megabytes.
	identity func() ([]byte, error)
}

// hashedName matches the file names that the build makes from the content.
var hashedName = regexp.MustCompile(`\.[0-9a-f]{16}\.`)

// knownEncodings maps the file endings that the build writes to the names of their encodings in
// HTTP, best first.
var knownEncodings = []struct{ ending, name string }{{".br", "br"}, {".gz", "gzip"}}

// loadAssets returns the generated files by the name that the browser asks for.
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
		if err := a.setMetadata(name); err != nil {
			return nil, err
		}
	}
	return assets, nil
}

// addFile adds a file to its asset, in the encoding that its ending names.
func addFile(assets map[string]*asset, file string, body []byte) {
	name, encoding := file, ""
	for _, e := range knownEncodings {
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

// setMetadata sets the fields that follow from the name and the bytes. It returns an error if there
// is neither a plain nor a gzip form.
func (a *asset) setMetadata(name string) error {
	a.contentType = contentType(name)
	a.immutable = hashedName.MatchString(name)
	if body, ok := a.encoded[""]; ok {
		a.identity = func() ([]byte, error) { return body, nil }
		delete(a.encoded, "")
		a.hash = digest(body)
		return nil
	}
	packed, ok := a.encoded["gzip"]
	if !ok {
		return fmt.Errorf("public: %s has neither a plain nor a gzip form", name)
	}
	a.identity = sync.OnceValues(func() ([]byte, error) { return gunzip(packed) })
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

// contentType does not use the system's table of types, which differs from machine to machine: a
// browser compiles a stream only if it is application/wasm.
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
	case ".json":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return "application/octet-stream"
}
