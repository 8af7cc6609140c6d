package sluice

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

var code = regexp.MustCompile("`([^`]+)`")

// What the page says that Sluice says is in its code, word for word. A `…` stands for what differs.
func TestTroubleshootingHasTheVeryWords(t *testing.T) {
	said, rows := words(t), 0
	_, tables, _ := strings.Cut(rig.Pages(t)["docs/troubleshoot.md"], "\n## ")
	for line := range strings.Lines(tables) {
		columns := strings.Split(line, " | ")
		if len(columns) != 4 {
			continue
		}
		rows++
		for _, quoted := range code.FindAllStringSubmatch(columns[0], -1) {
			for part := range strings.SplitSeq(quoted[1], "…") {
				if part = strings.TrimSpace(part); !strings.Contains(said, part) {
					t.Errorf("docs/troubleshoot.md: nothing of Sluice says %q", part)
				}
			}
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows", rows)
	}
}

// words are all texts in the code of the programs, with a line for each.
func words(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for file := range sources(t, ".go") {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, filepath.Join("internal", "rig")) {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			if literal, is := n.(*ast.BasicLit); is && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				all.WriteString(text + "\n")
			}
			return true
		})
	}
	return all.String()
}
