package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readTargets reads and checks the file of targets. The error joins one line for each mistake, with its place:
// "targets.yaml:7: target "crm": url …: use http:// or https://"; a warning has the same form.
func readTargets(file string) (targets []target, warnings []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("SLUICE_TARGETS=%q: %w: name a file that this user may read", file, err)
	}
	return parseTargets(filepath.Clean(file), text)
}

func parseTargets(file string, text []byte) (targets []target, warnings []string, err error) {
	root, err := onlyDocument(file, text)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{file: file}
	targets = p.targets(root)
	return targets, p.lines(p.doubts), p.err()
}

// onlyDocument is what the text holds. YAML allows several documents in a file, of which the others would be ignored.
func onlyDocument(file string, text []byte) (*yaml.Node, error) {
	documents := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	if err := documents.Decode(&first); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty: %s", file, wanted)
	} else if err != nil {
		return nil, notYAML(file, text, err)
	}
	switch err := documents.Decode(&second); {
	case errors.Is(err, io.EOF):
		return first.Content[0], nil
	case err != nil:
		return nil, notYAML(file, text, err)
	}
	return nil, fmt.Errorf("%s:%d: a second document: list all receivers under the one targets: of the first", file, second.Line)
}

func notYAML(file string, text []byte, err error) error {
	var syntax *yaml.LoadError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("%s: %w", file, err)
	}
	remedy, number := "", max(syntax.Mark.Line, 1)
	if lines := strings.Split(string(text), "\n"); number <= len(lines) && indentedByTab.MatchString(lines[number-1]) {
		remedy = ": a tab indents this line, and YAML takes spaces only"
	}
	return fmt.Errorf("%s:%d: %s%s", file, number, syntax.Message, remedy)
}

var indentedByTab = regexp.MustCompile(`^ *\t`)

const wanted = "list receivers under targets:, each with name, url and secret"

// parser reads nodes and remembers what is wrong with them.
type parser struct {
	file     string
	target   string // which one is being read
	mistakes []remark
	doubts   []remark // what may be right
}

type remark struct {
	line int
	text string
}

func (p *parser) wrong(at *yaml.Node, format string, arguments ...any) {
	p.mistakes = append(p.mistakes, remark{at.Line, p.target + fmt.Sprintf(format, arguments...)})
}

func (p *parser) doubt(at *yaml.Node, format string, arguments ...any) {
	p.doubts = append(p.doubts, remark{at.Line, p.target + fmt.Sprintf(format, arguments...)})
}

// lines puts remarks into the order of the file.
func (p *parser) lines(remarks []remark) (lines []string) {
	slices.SortStableFunc(remarks, func(a, b remark) int { return a.line - b.line })
	for _, r := range remarks {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", p.file, r.line, r.text))
	}
	return lines
}

func (p *parser) err() error {
	if len(p.mistakes) == 0 {
		return nil
	}
	return errors.New(strings.Join(p.lines(p.mistakes), "\n"))
}

func (p *parser) targets(root *yaml.Node) (all []target) {
	fields := p.mapping(root, "targets")
	list := fields["targets"]
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		p.wrong(root, "no targets: %s", wanted)
		return nil
	}
	lines := map[string]int{}
	for i, node := range list.Content {
		t := p.one(i, node)
		if line, taken := lines[t.Name]; taken && t.Name != "" {
			p.wrong(node, "name: line %d has it already: names are unique, since each has a place of its own in the stream", line)
		}
		lines[t.Name] = node.Line
		p.target = ""
		all = append(all, t)
	}
	return all
}

// one reads a target. Its keys and what they take are in field.go.
func (p *parser) one(index int, node *yaml.Node) target {
	t := newTarget()
	p.target = fmt.Sprintf("target %d: ", index+1)
	if name := nameOf(node); name != "" {
		p.target = fmt.Sprintf("target %q: ", name)
	}
	p.fill(&t, node, p.mapping(node, keys...))
	return t
}

func nameOf(node *yaml.Node) string {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == "name" {
			return node.Content[i+1].Value
		}
	}
	return ""
}

// mapping is a node's keys and values. A key that is none of those known, or there twice, is a mistake.
func (p *parser) mapping(node *yaml.Node, known ...string) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if node.Kind != yaml.MappingNode {
		p.wrong(node, "this is no mapping: use lines such as %s: …", known[0])
		return fields
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value):
			p.wrong(key, "there is no key %s: use %s", key.Value, strings.Join(known, ", "))
		case fields[key.Value] != nil:
			p.wrong(key, "%s is there twice: remove one", key.Value)
		default:
			fields[key.Value] = resolved(value)
		}
	}
	return fields
}

// resolved is the node that an alias (*name) stands for.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
