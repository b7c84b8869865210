// Package artifact writes what tests leave behind for people to look at:
// screenshots, and the histories of failed runs.
package artifact

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Write writes content under a name, which may be a test's, into
// $SETU_E2E_ARTIFACTS, or e2e/artifacts. It returns the file's path.
func Write(name string, content []byte) (string, error) {
	directory, err := directory()
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, strings.NewReplacer("/", "-", " ", "-", ":", "-").Replace(name))
	return path, os.WriteFile(path, content, 0o644)
}

// directory is where it all goes; it makes it.
func directory() (string, error) {
	directory := os.Getenv("SETU_E2E_ARTIFACTS")
	if directory == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		directory = filepath.Join(root, "e2e", "artifacts")
	}
	return directory, os.MkdirAll(directory, 0o755)
}

// moduleRoot is where go.mod is: tests run in the directory of their package.
func moduleRoot() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory, nil
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		directory = parent
	}
}
