package public

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// heavy lists packages that the browser client must not import, because every visitor downloads
// what it imports.
var heavy = []string{
	"bufio", "compress/flate", "compress/gzip", "crypto/tls", "crypto/x509", "crypto/rand", "encoding/gob",
	"encoding/json/jsontext", "encoding/json/v2", "encoding/xml", "expvar", "flag", "github.com/coder/websocket", "go/token", "html", "html/template", "log",
	"log/slog", "math/big", "mime", "mime/multipart", "net", "net/http", "net/netip", "net/textproto", "net/url",
	"os/exec", "os/signal", "regexp", "regexp/syntax", "runtime/debug", "runtime/pprof", "testing", "text/template",
	"text/tabwriter", "vendor/golang.org/x/net/http/httpguts",
}

// ours lists the packages of this module that may be in the browser client.
var ours = []string{
	"setu/relay/client", "setu/relay/engineio", "setu/relay/socketio", "setu/wasmclient", "setu/wasmclient/chat",
}

// most is how many packages the client may consist of. Before you raise it, look at what the new
// ones cost (public/build prints that).
const most = 80

func TestBrowserImports(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go command")
	}
	cmd := exec.Command("go", "list", "-deps", "setu/wasmclient")
	// As public/build compiles it.
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0", "GOEXPERIMENT=nojsonv2")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := strings.Fields(string(out))
	for _, p := range packages {
		switch {
		case slices.Contains(heavy, p):
			t.Errorf("the browser client pulls in %s", p)
		case strings.HasPrefix(p, "setu/") && !slices.Contains(ours, p):
			t.Errorf("the browser client pulls in %s", p)
		case strings.Contains(strings.SplitN(p, "/", 2)[0], "."):
			t.Errorf("the browser client pulls in %s, from outside", p)
		}
	}
	if len(packages) > most {
		t.Errorf("the browser client consists of %d packages, more than %d", len(packages), most)
	}
}
