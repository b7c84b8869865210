package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
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
