package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

var (
	hypertext = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	loaded    = regexp.MustCompile(`<(?:link|script|img|iframe)[^>]*(?:href|src)="(?:[a-z]+:)?//`)
)

// The site has every page, each link on it leads somewhere, and nothing is loaded from elsewhere.
func TestTheSiteHasEveryPageAndItsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	make := exec.Command(rig.Tool(t, "./site"), folder)
	make.Dir = rig.Root(t)
	if output, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	site := map[string]string{}
	for _, file := range glob(t, folder, "*.html") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		site[filepath.Base(file)] = string(text)
	}
	if pages := rig.Pages(t); len(site) != len(pages) {
		t.Errorf("the site has %d pages of %d", len(site), len(pages))
	}
	for _, file := range glob(t, folder, "*.[sp][vn]g") {
		site[filepath.Base(file)] = ""
	}
	for name, text := range site {
		if external := loaded.FindString(text); external != "" {
			t.Errorf("%s loads %s…", name, external)
		}
		for _, to := range hypertext.FindAllStringSubmatch(text, -1) {
			if fault := dead(site, name, to[1]); fault != "" {
				t.Errorf("%s: %s %s", name, to[1], fault)
			}
		}
	}
}

// dead is what is wrong with a link of a page; empty where nothing is.
func dead(site map[string]string, from, to string) string {
	address, anchor, _ := strings.Cut(to, "#")
	switch {
	case address == "":
		address = from
	case address == "style.css", strings.Contains(address, ":"):
		return ""
	}
	target, known := site[address]
	if !known {
		return "leads nowhere"
	}
	if anchor != "" && !strings.Contains(target, ` id="`+anchor+`"`) {
		return "has no such heading"
	}
	return ""
}

func glob(t *testing.T, folder, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, folder, err)
	}
	return files
}
