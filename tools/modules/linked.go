package main

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// ours begins the paths of this project's own modules.
const ours = "github.com/sluicehq/sluice"

// linked is what programs are made of.
type linked struct {
	programs []*program
	modules  []*module // of others, Go's own library among them
	goes     string    // the version of Go
}

type program struct {
	name, pkg string
	modules   []*module
}

type module struct {
	path, version, sum string
	license            license
}

// read asks the programs. All have to be built by the same Go.
func read(paths []string) (l linked, err error) {
	known := map[string]*module{}
	for _, path := range paths {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return l, fmt.Errorf("%s: %w", path, err)
		}
		if l.goes = cmp.Or(l.goes, info.GoVersion); l.goes != info.GoVersion {
			return l, fmt.Errorf("%s is built by %s, and others by %s: build all of them again", path, info.GoVersion, l.goes)
		}
		p := &program{name: filepath.Base(path), pkg: info.Path}
		add := func(path, version, sum string) {
			if known[path] == nil {
				known[path] = &module{path: path, version: version, sum: sum}
			}
			p.modules = append(p.modules, known[path])
		}
		add("std", strings.TrimPrefix(info.GoVersion, "go"), "")
		for _, m := range info.Deps {
			for m.Replace != nil {
				m = m.Replace
			}
			if m.Path != ours && !strings.HasPrefix(m.Path, ours+"/") {
				add(m.Path, m.Version, m.Sum)
			}
		}
		l.programs = append(l.programs, p)
	}
	l.modules = slices.SortedFunc(maps.Values(known), func(a, b *module) int { return cmp.Compare(a.path, b.path) })
	for _, m := range l.modules {
		if m.license, err = m.find(); err != nil {
			return l, err
		}
	}
	return l, nil
}
