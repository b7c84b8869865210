package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// variant is what differs between the pages of relays.
type variant struct {
	TokenRequired bool // nobody is a guest

	version string // of the service worker, which keeps what is of its own version alone
}

// keptFiles are what the service worker keeps, beside the page: the program first.
var keptFiles = []string{"program", "support", "pagejs", "loaderjs", "stylecss", "iconsvg", "iconunreadsvg"}

// render returns a template with the hashed names filled in. Templates contain no text from
// outside, so nothing needs escaping.
func render(file string, v variant, names map[string]string, programSize int) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	missing := ""
	functions := template.FuncMap{
		"asset": func(key string) string {
			name, ok := names[key]
			if !ok {
				missing = key
			}
			return "/" + name
		},
		"programSize": func() int { return programSize },
		"version":     func() string { return v.version },
	}
	functions["kept"] = func() (paths []string) {
		for _, key := range keptFiles {
			paths = append(paths, functions["asset"].(func(string) string)(key))
		}
		return paths
	}
	t, err := template.New(filepath.Base(file)).Funcs(functions).Parse(string(source))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return nil, err
	}
	if missing != "" {
		return nil, fmt.Errorf("%s asks for an asset %q that is not built", file, missing)
	}
	return out.Bytes(), nil
}
