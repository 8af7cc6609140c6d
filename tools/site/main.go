// site makes a website of README.md, CONTRIBUTING.md and docs/: site FOLDER, run in the root of the repository. A page links
// to nothing that is loaded from elsewhere.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
)

// repository is where what is no page is shown.
const repository = "https://github.com/sluicehq/sluice/blob/main/"

// part is some pages below one heading of the navigation.
type part struct {
	Name  string
	Pages []*page
}

// page is a Markdown file, and where the site has it.
type page struct {
	File, Address, Title string
	Body                 template.HTML
}

// Short is its title in the navigation, without what explains it.
func (p *page) Short() string {
	if p.File == "README.md" {
		return "What it is"
	}
	short, _, _ := strings.Cut(p.Title, ":")
	short, _, _ = strings.Cut(short, ",")
	return short
}

// parts are the pages in the order in which they are read. One that is not named here comes last.
var parts = []part{
	{"Begin", pages("README", "docs/start", "docs/configure", "docs/settings", "docs/deploy", "docs/kubernetes")},
	{"Run", pages("docs/operate", "docs/console", "docs/teams", "docs/metrics", "docs/tracing", "docs/troubleshoot", "docs/runbook", "docs/secure", "docs/scale")},
	{"Events", pages("docs/events", "docs/consumers", "docs/forward", "docs/archive", "docs/replay", "docs/dead-letters")},
	{"Know", pages("docs/promises", "docs/limits", "docs/faults", "docs/performance")},
	{"Change", pages("CONTRIBUTING", "docs/dependencies", "docs/licences")},
}

func pages(names ...string) (all []*page) {
	for _, name := range names {
		address := strings.ToLower(path.Base(name)) + ".html"
		if name == "README" {
			address = "index.html"
		}
		all = append(all, &page{File: name + ".md", Address: address})
	}
	return all
}

//go:embed page.html
var layout string

//go:embed style.css
var style []byte

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: site FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "style.css"), style, 0o644); err != nil {
		return err
	}
	if err := pictures(folder); err != nil {
		return err
	}
	if err := others(); err != nil {
		return err
	}
	for _, part := range parts {
		for _, p := range part.Pages {
			if err := p.read(); err != nil {
				return err
			}
		}
	}
	whole := template.Must(template.New("page").Parse(layout))
	for _, part := range parts {
		for _, p := range part.Pages {
			var out bytes.Buffer
			if err := whole.Execute(&out, map[string]any{"Page": p, "Parts": parts}); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, p.Address), out.Bytes(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// pictures of the pages go with them.
func pictures(folder string) error {
	files, err := filepath.Glob("docs/*.[sp][vn]g") // drawn, or photographed
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// others puts the pages that parts does not name at its end.
func others() error {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		return err
	}
	var more []*page
	for _, file := range files {
		if strings.HasPrefix(addressOf(file), repository) {
			more = append(more, pages(strings.TrimSuffix(file, ".md"))...)
		}
	}
	if more != nil {
		parts = append(parts, part{"More", more})
	}
	return nil
}

// The files are ours: their HTML, which is comments and one picture, is taken as it is.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()), goldmark.WithRendererOptions(html.WithUnsafe()))

var (
	link  = regexp.MustCompile(`(href|src)="([^"]*)"`)
	table = regexp.MustCompile(`(?s)<table>.*?</table>`)
)

// read makes HTML of the file.
func (p *page) read() error {
	text, err := os.ReadFile(p.File)
	if err != nil {
		return err
	}
	title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
	p.Title = title
	var out bytes.Buffer
	if err := markdown.Convert(text, &out); err != nil {
		return err
	}
	body := link.ReplaceAllStringFunc(out.String(), p.follow)
	p.Body = template.HTML(table.ReplaceAllStringFunc(body, framed))
	return nil
}

// framed is a table that is scrolled by itself where it is wide. On a narrow screen, cells of four columns, which are mostly
// sentences, stand below each other.
func framed(table string) string {
	class := "wide"
	if strings.Count(table, "<th>") == 4 {
		class = "wide stacked"
	}
	return `<div class="` + class + `" tabindex="0">` + table + `</div>`
}

// follow leads a link from one file to another to where the site, or the repository, has that one.
func (p *page) follow(attribute string) string {
	found := link.FindStringSubmatch(attribute)
	to, anchor, anchored := strings.Cut(found[2], "#")
	if to == "" || strings.Contains(to, ":") {
		return attribute
	}
	file := path.Join(path.Dir(p.File), to)
	address := addressOf(file)
	if anchored {
		address += "#" + anchor
	}
	return found[1] + `="` + address + `"`
}

func addressOf(file string) string {
	if ext := path.Ext(file); ext == ".svg" || ext == ".png" {
		return path.Base(file)
	}
	for _, part := range parts {
		for _, p := range part.Pages {
			if p.File == file {
				return p.Address
			}
		}
	}
	return repository + file
}
