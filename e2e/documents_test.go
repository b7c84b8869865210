package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	citation = regexp.MustCompile(`[\w./-]*\w\.md\b`)
	// Links of pages: to files, and not to elsewhere.
	link = regexp.MustCompile(`\]\(([^)#:]+)\)`)
)

// A document that a comment or a page cites is in the repository: at its top, in docs, or beside
// what cites it. So is a file to which a page links.
func TestCitedDocumentsAreHere(t *testing.T) {
	t.Parallel()
	cited := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "artifacts", "testdata", "dist"}, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		var found []string
		switch content := func() string { return readFile(t, path) }; filepath.Ext(path) {
		case ".go":
			for line := range strings.Lines(content()) {
				if _, comment, ok := strings.Cut(line, "//"); ok {
					found = append(found, citation.FindAllString(comment, -1)...)
				}
			}
		case ".md":
			found = citation.FindAllString(content(), -1)
			for _, to := range link.FindAllStringSubmatch(content(), -1) {
				found = append(found, to[1])
			}
		}
		cited += len(found)
		for _, name := range found {
			if !slices.ContainsFunc([]string{"..", "../docs", filepath.Dir(path)}, func(directory string) bool {
				_, err := os.Stat(filepath.Join(directory, filepath.FromSlash(name)))
				return err == nil
			}) {
				t.Errorf("%s cites %s, which is not here", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 5 {
		t.Errorf("only %d citations were found: the test looks past them", cited)
	}
}
