package rig

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// Block is commands that a page shows, and where they run if it says so above them: <!-- runs in TestX --> is a test that
// types them, <!-- needs docker --> names what no test has.
type Block struct {
	Text   string
	RunsIn string
	Needs  string
}

var (
	block    = regexp.MustCompile("(?m)^ *(?:<!-- (runs in|needs) (.+) -->\n+ *)?```sh\n((?s:.*?))^ *```$")
	indented = regexp.MustCompile("(?m)^ +") // of a block in a list
)

// Blocks are all blocks of commands of a page, in order.
func Blocks(page string) (blocks []Block) {
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		b := Block{Text: strings.TrimSpace(indented.ReplaceAllString(m[3], ""))}
		switch m[1] {
		case "runs in":
			b.RunsIn = m[2]
		case "needs":
			b.Needs = m[2]
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// Shown are the blocks that a page says to run in this test, in order.
func Shown(t testing.TB, page string) (texts []string) {
	t.Helper()
	for _, b := range Blocks(Pages(t)[page]) {
		if b.RunsIn == t.Name() {
			texts = append(texts, b.Text)
		}
	}
	if len(texts) == 0 {
		t.Fatalf("%s shows nothing that runs in %s", page, t.Name())
	}
	return texts
}
