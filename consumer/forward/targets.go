package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readTargets reads and checks the file of targets. The error joins one line for each mistake, with its place:
// "targets.yaml:7: target "crm": url …: use http:// or https://".
func readTargets(file string) ([]target, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_TARGETS=%q: %w: name a file that this user may read", file, err)
	}
	return parseTargets(filepath.Clean(file), text)
}

func parseTargets(file string, text []byte) ([]target, error) {
	p := &parser{file: file}
	var document yaml.Node
	var syntax *yaml.LoadError
	switch err := yaml.Unmarshal(text, &document); {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%s:%d: %s", file, syntax.Mark.Line, syntax.Message)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(document.Content) == 0:
		return nil, fmt.Errorf("%s is empty: %s", file, wanted)
	}
	targets := p.targets(document.Content[0])
	return targets, p.err()
}

const wanted = "list receivers under targets:, each with name, url and secret"

// parser reads nodes and remembers what is wrong with them.
type parser struct {
	file     string
	target   string // which one is being read
	mistakes []mistake
}

type mistake struct {
	line int
	text string
}

func (p *parser) wrong(at *yaml.Node, format string, arguments ...any) {
	p.mistakes = append(p.mistakes, mistake{at.Line, p.target + fmt.Sprintf(format, arguments...)})
}

func (p *parser) err() error {
	slices.SortStableFunc(p.mistakes, func(a, b mistake) int { return a.line - b.line })
	var lines []error
	for _, m := range p.mistakes {
		lines = append(lines, fmt.Errorf("%s:%d: %s", p.file, m.line, m.text))
	}
	return errors.Join(lines...)
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
