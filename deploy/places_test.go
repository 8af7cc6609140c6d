package deploy

import (
	"regexp"
	"slices"
	"strings"
)

// places are what a service's container has elsewhere than a process of this machine: paths, and addresses.
type places struct {
	address   string
	addresses map[string]string // of all services; addresses are left as they are where there are none
	moved     map[string]string // paths
	pattern   *regexp.Regexp
}

func newPlaces(address string, addresses map[string]string) *places {
	return &places{address: address, addresses: addresses, moved: map[string]string{}}
}

// move lets a path of the container's be another.
func (p *places) move(from, to string) { p.moved[from], p.pattern = to, nil }

// in is a text with what is elsewhere here: paths, host:port of a service, and the container's own addresses.
func (p *places) in(text string) string {
	if p.pattern == nil {
		p.pattern = p.compile()
	}
	return p.pattern.ReplaceAllStringFunc(text, func(found string) string {
		if to, moved := p.moved[found]; moved {
			return to
		}
		if name, port, is := strings.Cut(found, ":"); is {
			return p.addresses[name] + ":" + port
		}
		return p.address // 0.0.0.0 and 127.0.0.1
	})
}

func (p *places) compile() *regexp.Regexp {
	var paths []string
	for path := range p.moved {
		paths = append(paths, regexp.QuoteMeta(path)+`\b`)
	}
	var names []string
	for name := range p.addresses {
		names = append(names, regexp.QuoteMeta(name))
	}
	longest := func(a, b string) int { return len(b) - len(a) }
	slices.SortFunc(paths, longest)
	slices.SortFunc(names, longest)
	if len(names) == 0 {
		return regexp.MustCompile(strings.Join(paths, "|"))
	}
	all := append(paths, `\b(?:`+strings.Join(names, "|")+`):\d{4}\b`, `\b0\.0\.0\.0\b`, `\b127\.0\.0\.1\b`)
	return regexp.MustCompile(strings.Join(all, "|"))
}
