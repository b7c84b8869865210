// Command build prepares the page to be embedded: it compiles the browser client, puts a hash of
// the content into the name of every file that the page loads, and compresses the files. The output
// in ../dist depends on the sources and the Go release alone.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	keep := flag.Bool("symbols", false, "keep the names and lines that traces of panics have: a tenth more over the wire")
	flag.Parse()
	if err := run("../wasmclient", ".", "dist", *keep); err != nil {
		fmt.Fprintln(os.Stderr, "public/build:", err)
		os.Exit(1)
	}
}

// run builds the page into the directory out, from the sources of the browser client and of the
// page.
func run(client, page, out string, keepSymbols bool) error {
	program, err := compile(client, keepSymbols)
	if err != nil {
		return err
	}
	support, err := wasmSupport()
	if err != nil {
		return err
	}
	w, err := newWriter(out)
	if err != nil {
		return err
	}
	names := map[string]string{}
	add := func(key, file string, body []byte) error {
		names[key], err = w.writeHashed(file, body)
		return err
	}
	files := []struct {
		key, file string
		body      []byte
	}{
		{"program", "app.wasm", program},
		{"support", "wasm_exec.js", support},
		{"touchIcon", "icon-180.png", drawIcon(180, false)},
		{"icon192", "icon-192.png", drawIcon(192, false)},
		{"icon512", "icon-512.png", drawIcon(512, false)},
		{"maskable", "icon-maskable.png", drawIcon(512, true)},
	}
	for _, f := range files {
		if err := add(f.key, f.file, f.body); err != nil {
			return err
		}
	}
	for _, file := range []string{"style.css", "page.js", "loader.js", "icon.svg", "icon-unread.svg"} {
		body, err := os.ReadFile(filepath.Join(page, file))
		if err != nil {
			return err
		}
		if filepath.Ext(file) == ".js" {
			body = commentLine.ReplaceAll(body, nil)
		}
		if err := add(strings.NewReplacer(".", "", "-", "").Replace(file), file, body); err != nil {
			return err
		}
	}
	rendered := []struct {
		file, source string
		variant      variant
	}{
		{"manifest.webmanifest", "manifest.webmanifest", variant{}},
		{"index.html", "index.html", variant{}},
		{"token.html", "index.html", variant{TokenRequired: true}},
		{"missing.html", "missing.html", variant{}},
		{"sw.js", "sw.js", variant{}}, // last: its version is that of the pages
	}
	pages := sha256.New()
	for _, r := range rendered {
		r.variant.version = hex.EncodeToString(pages.Sum(nil)[:8])
		body, err := render(filepath.Join(page, r.source), r.variant, names, len(program))
		if err != nil {
			return err
		}
		_, _ = pages.Write(body) // never fails
		if err := w.write(r.file, body); err != nil {
			return err
		}
	}
	if err := w.removeStale(); err != nil {
		return err
	}
	w.report(os.Stdout)
	return nil
}

// commentLine matches a line of a script that is a comment alone, and what a line is indented by.
var commentLine = regexp.MustCompile(`(?m)^[ \t]*(//.*\n)?`)

// compile builds the browser client and returns its bytes.
func compile(dir string, keepSymbols bool) ([]byte, error) {
	temporary, err := os.MkdirTemp("", "setu-wasm-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	target := filepath.Join(temporary, "app.wasm")
	// Without inlining, the compressed program is a tenth smaller, and no slower where it matters:
	// most of its time is spent in the document.
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-gcflags=all=-l", "-o", target, ".")
	cmd.Dir = dir
	// With encoding/json as it was before Go 1.27 the program is a sixth smaller over the wire: the
	// new one is made of encoding/json/v2, all of which comes along. What imports v2 does not
	// compile here. Nor is it worth 16 kB to a heap of a few megabytes that the runtime allocates and
	// collects in the ways that Go 1.26 and 1.27 have made for large ones.
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0",
		"GOEXPERIMENT=nojsonv2,nogreenteagc,nosizespecializedmalloc")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compiling the browser client: %w", err)
	}
	program, err := os.ReadFile(target)
	if err != nil || keepSymbols {
		return program, err
	}
	if err := dropSymbols(program); err != nil {
		fmt.Fprintln(os.Stderr, "public/build: the page is a tenth larger than it need be:", err)
	}
	return program, nil
}

// wasmSupport returns the script that Go's runtime needs in a browser. It must be of the release
// that compiled the program.
func wasmSupport() ([]byte, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	for _, dir := range []string{"lib", "misc"} {
		body, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), dir, "wasm", "wasm_exec.js"))
		if err == nil {
			return body, nil
		}
	}
	return nil, errors.New("the Go installation has no wasm_exec.js")
}
