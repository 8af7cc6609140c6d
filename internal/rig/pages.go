package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// Pages are the texts that people read, by file: README.md, CONTRIBUTING.md and docs/*.md.
func Pages(t testing.TB) map[string]string {
	t.Helper()
	root := Root(t)
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, file := range append(files, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(text)
	}
	return pages
}
