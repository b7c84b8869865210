package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// may lists which of our packages each may import.
var may = map[string][]string{
	"setu/relay/engineio":     {},
	"setu/relay/socketio":     {},
	"setu/relay/auth":         {},
	"setu/relay/metrics":      {},
	"setu/relay/socket":       {},
	"setu/relay/limit":        {},
	"setu/relay/pool":         {},
	"setu/relay/handshake":    {"setu/relay/pool"},
	"setu/relay/engine":       {"setu/relay/engineio", "setu/relay/metrics", "setu/relay/limit", "setu/relay/pool", "setu/relay/socket"},
	"setu/relay/namespace":    {"setu/relay/engine", "setu/relay/engineio", "setu/relay/socketio", "setu/relay/metrics", "setu/relay/limit"},
	"setu/relay/broker":       {},
	"setu/relay/broker/redis": {"setu/relay/broker", "setu/relay/metrics", "setu/relay/socket"},
	"setu/relay/room":         {"setu/relay/broker", "setu/relay/engineio", "setu/relay/socketio", "setu/relay/metrics"},
	"setu/relay/events": {"setu/relay/namespace", "setu/relay/room", "setu/relay/broker", "setu/relay/engineio", "setu/relay/socketio",
		"setu/relay/auth", "setu/relay/metrics", "setu/relay/limit", "setu/relay/hook"},
	"setu/relay/hook":    {"setu/relay/auth", "setu/relay/broker", "setu/relay/metrics", "setu/relay/socketio"},
	"setu/relay/forward": {"setu/relay/engine", "setu/relay/engineio", "setu/relay/broker", "setu/relay/metrics"},
	"setu/relay/api":     {"setu/relay/events", "setu/relay/broker", "setu/relay/auth", "setu/relay/limit", "setu/relay/metrics"},
	"setu/relay": {"setu/relay/api", "setu/relay/events", "setu/relay/forward", "setu/relay/namespace", "setu/relay/engine", "setu/relay/room",
		"setu/relay/broker", "setu/relay/engineio", "setu/relay/socketio", "setu/relay/auth", "setu/relay/metrics", "setu/relay/limit", "setu/relay/hook"},
	"setu/relay/command":   {"setu/relay", "setu/relay/auth", "setu/relay/events", "setu/relay/broker", "setu/relay/broker/redis"},
	"setu/relay/dev":       {"setu/relay", "setu/relay/events", "setu/relay/hook", "setu/relay/broker", "setu/relay/metrics"},
	"setu/relay/client":    {"setu/relay/engineio", "setu/relay/socketio"},
	"setu/wasmclient":      {"setu/relay/client", "setu/wasmclient/chat"},
	"setu":                 {"setu/relay", "setu/relay/api", "setu/relay/auth", "setu/relay/broker", "setu/relay/broker/redis", "setu/relay/command", "setu/relay/dev", "setu/relay/handshake", "setu/relay/metrics", "setu/public"},
	"setu/public":          {"setu/wasmclient/chat"},
	"setu/wasmclient/chat": {},
}

// never lists what no path of imports may lead to, but for those through metrics: Prometheus' library
// serves what it counts.
var never = map[string][]string{
	"setu/relay/engineio": {"net", "net/http", "github.com/"},
	"setu/relay/socketio": {"net", "net/http", "github.com/"},
	"setu/relay/limit":    {"setu/relay/broker", "setu/relay/room"},
	"setu/relay/engine":   {"setu/relay/broker", "setu/relay/room", "setu/relay/socketio"},
	"setu/relay/room":     {"net/http", "github.com/coder/"},
	"setu/relay/broker":   {"net/http", "github.com/"},
	"setu/relay/hook":     {"setu/relay/room", "setu/relay/namespace", "setu/relay/engine"},
	"setu/relay":          {"github.com/redis/", "setu/relay/broker/redis"},
	"setu/wasmclient":     {"net", "net/http", "github.com/", "setu/relay/room", "setu/relay/broker", "setu/relay"},
}

func list(t *testing.T, pkg string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"list"}, args...), pkg)...)
	cmd.Env = os.Environ()
	if strings.HasPrefix(pkg, "setu/wasmclient") {
		cmd.Env = append(cmd.Env, "GOOS=js", "GOARCH=wasm")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(pkg, err)
	}
	return strings.Fields(string(out))
}

// reached returns all packages that paths of imports lead to, but for those through metrics.
func reached(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	imports := map[string][]string{}
	for _, line := range list(t, pkg, "-deps", "-f", `{{.ImportPath}}={{join .Imports ","}}`) {
		name, imported, _ := strings.Cut(line, "=")
		imports[name] = strings.Split(imported, ",")
	}
	seen := map[string]bool{}
	for next := []string{pkg}; len(next) > 0; next = next[1:] {
		if name := next[0]; name != "" && name != "setu/relay/metrics" && !seen[name] {
			seen[name] = true
			next = append(next, imports[name]...)
		}
	}
	return seen
}

// The browser never pulls in the server, and no package imports one above it.
func TestImports(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go command")
	}
	for pkg, allowed := range may {
		for _, imported := range list(t, pkg, "-f", `{{join .Imports "\n"}}`) {
			if strings.HasPrefix(imported, "setu") && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
	for pkg, barred := range never {
		for dep := range reached(t, pkg) {
			if dep == pkg {
				continue
			}
			for _, b := range barred {
				if dep == b || strings.HasSuffix(b, "/") && strings.HasPrefix(dep, b) {
					t.Errorf("%s comes to import %s", pkg, dep)
				}
			}
		}
	}
}

// Files and functions stay small enough to be read, directories are named for what is inside, and
// settings come from one place.
func TestHouseRules(t *testing.T) {
	const maxFile, maxFunc = 450, 75
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "util", "utils", "common", "helpers", "misc":
				t.Errorf("%s: name it by what it does", path)
			case ".git", "testdata", "node_modules":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		lines := func(n ast.Node) int { return set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1 }
		if n := set.File(file.Pos()).LineCount(); n > maxFile {
			t.Errorf("%s has %d lines", path, n)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines(n) > maxFunc {
					t.Errorf("%s: %s has %d lines", path, n.Name.Name, lines(n))
				}
				if n.Name.Name == "init" {
					t.Errorf("%s: init", path)
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "os" && (n.Sel.Name == "Getenv" || n.Sel.Name == "LookupEnv") && served(path) {
					t.Errorf("%s: os.%s: a setting is a field of relay.Config", path, n.Sel.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// served reports whether a file is part of the relay or the page, not of what builds or tests them.
func served(path string) bool {
	return !strings.HasPrefix(path, "e2e") && !strings.HasPrefix(path, filepath.Join("public", "build"))
}
