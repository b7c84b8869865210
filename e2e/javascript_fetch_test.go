package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The official client as npm has it, and what is in it.
const (
	officialURL    = "https://cdn.jsdelivr.net/npm/socket.io-client@4.8.3/dist/socket.io.min.js"
	officialSHA256 = "7bcff1b4f1442787ff11dfc510dedb8de16502ff5c987c4bbeb477605f76d9a0"
)

// javaScriptClient returns the official client for browsers: $SETU_E2E_SOCKETIO_JS, a file, or what
// this machine can fetch, which is kept in the user's cache directory.
func javaScriptClient(t testing.TB) []byte {
	t.Helper()
	if path := os.Getenv("SETU_E2E_SOCKETIO_JS"); path != "" {
		library, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("SETU_E2E_SOCKETIO_JS: %v", err)
		}
		return library
	}
	library, err := cachedClient()
	if err != nil {
		skipOrFail(t, fmt.Sprintf("needs socket.io-client, and can't fetch it: set SETU_E2E_SOCKETIO_JS to a socket.io.min.js: %v", err))
	}
	return library
}

var cachedClient = sync.OnceValues(func() ([]byte, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	directory := filepath.Join(cache, "setu-e2e")
	var failed []error
	for _, source := range []struct {
		file  string
		fetch func(context.Context) ([]byte, error)
	}{
		{"socket.io-4.8.3.min.js", fetchOfficial},
		{"socket.io-debian.min.js", fetchFromDebian},
	} {
		path := filepath.Join(directory, source.file)
		if library, err := readWithSum(path); err == nil {
			return library, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		library, err := source.fetch(ctx)
		cancel()
		if err == nil {
			return library, errors.Join(os.MkdirAll(directory, 0o755), writeWithSum(path, library))
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
})

// fetchOfficial takes the client from where pages on the web do.
func fetchOfficial(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, officialURL, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	library, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(library)); response.StatusCode != http.StatusOK || sum != officialSHA256 {
		return nil, fmt.Errorf("%s: %s, with SHA-256 %s", officialURL, response.Status, sum)
	}
	return library, nil
}

// fetchFromDebian takes the client out of mediawiki, inside which Debian ships it. apt has verified
// the package against its signed lists. Nothing is installed.
func fetchFromDebian(ctx context.Context) ([]byte, error) {
	directory, err := os.MkdirTemp("", "setu-e2e-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory)
	const script = `apt-get -qq -o APT::Sandbox::User=root download mediawiki >&2 &&
		dpkg --fsys-tarfile mediawiki_*.deb | tar -x --to-stdout --wildcards '*/socket.io-client/socket.io.min.js'`
	shell := exec.CommandContext(ctx, "sh", "-ec", script)
	shell.Dir = directory
	var complaints bytes.Buffer
	shell.Stderr = &complaints
	library, err := shell.Output()
	if err == nil && len(library) == 0 {
		err = errors.New("the package has no such file")
	}
	if err != nil {
		return nil, fmt.Errorf("from Debian's mediawiki: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	return library, nil
}

// writeWithSum writes a file that begins with what its content sums to, so that one which was cut
// short, or changed, is not taken for whole. Test processes may run side by side.
func writeWithSum(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "fetched-")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // gone already if all went well
	_, err = fmt.Fprintf(temporary, "/*%x*/\n%s", sha256.Sum256(content), content)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

func readWithSum(path string) ([]byte, error) {
	whole, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum, content, _ := bytes.Cut(whole, []byte("\n"))
	if want := fmt.Sprintf("/*%x*/", sha256.Sum256(content)); string(sum) != want {
		return nil, fmt.Errorf("%s is not what was fetched", path)
	}
	return content, nil
}

func TestCachedClientIsWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "client.js")
	if err := writeWithSum(path, []byte("io\n()")); err != nil {
		t.Fatal(err)
	}
	if content, err := readWithSum(path); string(content) != "io\n()" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
	if err := os.Truncate(path, 70); err != nil {
		t.Fatal(err)
	}
	if content, err := readWithSum(path); err == nil {
		t.Errorf("a file that was cut short reads %q", content)
	}
}
