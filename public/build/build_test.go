package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriterNamesByContent(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".keep", "app.0000000000000000.wasm.br", "old.css"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, err := newWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, err := w.writeHashed("style.css", []byte("a{}"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.writeHashed("style.css", []byte("a{}"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.writeHashed("style.css", []byte("b{}"))
	if err != nil {
		t.Fatal(err)
	}
	if name != again || name == other {
		t.Errorf("names %s, %s, %s", name, again, other)
	}
	if _, err := w.writeHashed("app.wasm", []byte("\x00asm")); err != nil {
		t.Fatal(err)
	}
	if err := w.removeStale(); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	all := strings.Join(left, " ")
	if strings.Contains(all, "old.css") || strings.Contains(all, "0000000000000000") || !strings.Contains(all, ".keep") {
		t.Errorf("left: %s", all)
	}
	if strings.Contains(all, ".wasm ") || !strings.Contains(all, ".wasm.br") {
		t.Errorf("the program is not kept compressed alone: %s", all)
	}
}

func TestRenderRefusesUnknownAssets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "index.html")
	if err := os.WriteFile(file, []byte(`{{asset "program"}} {{programSize}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := render(file, variant{}, map[string]string{"program": "app.1.wasm"}, 7)
	if err != nil || string(got) != "/app.1.wasm 7" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := render(file, variant{}, nil, 7); err == nil {
		t.Error("an asset that is not there was rendered")
	}
}

func TestIcon(t *testing.T) {
	first := drawIcon(32, false)
	if !bytes.Equal(first, drawIcon(32, false)) {
		t.Error("two drawings differ")
	}
	img, err := png.Decode(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, a := img.At(0, 0).RGBA(); a != 0 {
		t.Error("the corner is not clear")
	}
	if r, _, _, _ := img.At(16, 20).RGBA(); r < 0x8000 {
		t.Error("there is no deck")
	}
}

// The names of functions are gone from a program, and nothing else: what is left still says what it did, and
// what is no program of Go's is left alone.
func TestDropSymbols(t *testing.T) {
	dir := t.TempDir()
	source := "package main\n\nfunc main() { defer println(\"a string\"); aFunction(nil) }\n\n//go:noinline\nfunc aFunction(m map[string]int) { m[\"a\"] = 1 }\n"
	for name, text := range map[string]string{"go.mod": "module small\n", "aFile.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := compile(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	has := func(text string, program []byte) bool { return bytes.Contains(program, []byte(text)) }
	dropped := slices.Clone(program)
	if err := dropSymbols(dropped); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"main.aFunction", "aFile.go", "runtime.mapassign_faststr"} {
		if !has(gone, program) || has(gone, dropped) {
			t.Errorf("%s: %t before, %t after", gone, has(gone, program), has(gone, dropped))
		}
	}
	for _, left := range []string{"a string", "assignment to entry in nil map"} {
		if !has(left, dropped) {
			t.Errorf("%q is gone", left)
		}
	}
	if len(dropped) != len(program) {
		t.Errorf("%d bytes of %d", len(dropped), len(program))
	}
	for length := 8; length < len(program); length += len(program) / 50 {
		part := slices.Clone(program[:length])
		if err := dropSymbols(part); err == nil || !bytes.Equal(part, program[:length]) {
			t.Errorf("of the first %d bytes: %v", length, err)
		}
	}
}
