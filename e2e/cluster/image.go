package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// relayImage is $SETU_E2E_RELAY_IMAGE, or an image of this module's binary,
// made once in a test process.
var relayImage = sync.OnceValues(func() (string, error) {
	if err := dependOnSources(); err != nil {
		return "", fmt.Errorf("look at the sources: %w", err)
	}
	if image := imageFrom("SETU_E2E_RELAY_IMAGE", ""); image != "" {
		return image, nil
	}
	return buildRelayImage()
})

// buildRelayImage compiles the relay and imports it as an image like that of
// the Dockerfile: the binary, alone. It needs no base image and a tenth of a
// second.
func buildRelayImage() (string, error) {
	binary, err := compileRelay()
	if err != nil {
		return "", fmt.Errorf("build the relay: %w", err)
	}
	// Named by what is in it, so that test processes side by side don't take each
	// other's image away.
	image := fmt.Sprintf("setu-e2e:%x", sha256.Sum256(binary))[:len("setu-e2e:")+16]
	if err := importImage(image, binary); err != nil {
		return "", fmt.Errorf("import the relay's image: %w", err)
	}
	return image, nil
}

// dependOnSources lists the module's directories. go test remembers what a test
// has looked at, and would otherwise answer from its cache when the relay, of
// which a test's own package imports nothing, has changed.
func dependOnSources() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What is not source, and what tests write to.
		if name := entry.Name(); entry.IsDir() && (name == ".git" || name == "artifacts") {
			return filepath.SkipDir
		}
		return nil
	})
}

func moduleRoot() (string, error) {
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(string(bytes.TrimSpace(gomod))), nil
}

func compileRelay() ([]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "setu-e2e-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "setu"), ".")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, output)
	}
	return os.ReadFile(filepath.Join(dir, "setu"))
}

func importImage(name string, binary []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	if _, err := docker.ImageInspect(ctx, name); err == nil {
		return nil
	}
	rootfs, err := archive("setu", binary)
	if err != nil {
		return err
	}
	result, err := docker.ImageImport(ctx, client.ImageImportSource{Source: rootfs, SourceName: "-"}, name, client.ImageImportOptions{
		Changes: []string{`ENTRYPOINT ["/setu"]`, "USER 65532:65532", "EXPOSE 8080", "LABEL setu.e2e=relay"},
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, result) // the import is done when the answer ends
	return errors.Join(err, result.Close(), pruneOlder(ctx, docker))
}

// pruneOlder removes the images of earlier test runs.
func pruneOlder(ctx context.Context, docker *testcontainers.DockerClient) error {
	filters := client.Filters{}.Add("label", "setu.e2e=relay").Add("until", "1h").Add("dangling", "false")
	_, err := docker.ImagePrune(ctx, client.ImagePruneOptions{Filters: filters})
	return err
}

func archive(name string, content []byte) (io.Reader, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	header := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
	if err := writer.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	return &buffer, writer.Close()
}
