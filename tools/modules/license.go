package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	xmodule "golang.org/x/mod/module"
)

// license is what a module may be used under.
type license struct {
	id    string // of SPDX
	texts []string
}

// known are the licences that are taken, by words that only they have. What has none of them has to be read by a person.
var known = []struct {
	id    string
	words *regexp.Regexp
}{
	{"Apache-2.0", words("Apache License Version 2.0")},
	{"MPL-2.0", words("Mozilla Public License")},
	{"BSD-3-Clause", words("Redistribution and use in source and binary forms .* (Neither the name|names of its contributors may)")},
	{"BSD-2-Clause", words("Redistribution and use in source and binary forms")},
	{"ISC", words("Permission to use, copy, modify, and/?(or)? distribute this software for any purpose with or without fee")},
	{"MIT", words("Permission is hereby granted, free of charge, to any person obtaining a copy")},
	{"CC0-1.0", words("CC0 1.0 Universal")},
	{"Unlicense", words("This is free and unencumbered software")},
}

// words matches a text whatever its line breaks and commas are.
func words(text string) *regexp.Regexp {
	return regexp.MustCompile("(?is)" + strings.ReplaceAll(strings.ReplaceAll(text, ",", ""), " ", `[\s#*/]+`))
}

// find reads the licence in the module cache, or in Go's own folder.
func (m *module) find() (l license, err error) {
	dir, err := m.dir()
	if err != nil {
		return l, err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return l, fmt.Errorf("%w: `go mod download` brings it", err)
	}
	for _, file := range files {
		if name := strings.ToUpper(file.Name()); file.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "NOTICE") && name != "UNLICENSE" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return l, err
		}
		l.texts = append(l.texts, string(text))
		if l.id == "" {
			l.id = identify(string(text))
		}
	}
	if l.id == "" {
		return l, fmt.Errorf("%s %s: no licence that is known here in %s: read it, and teach tools/modules if it can be taken", m.path, m.version, dir)
	}
	return l, nil
}

func identify(text string) string {
	text = strings.ReplaceAll(text, ",", "")
	for _, k := range known {
		if k.words.MatchString(text) {
			return k.id
		}
	}
	return ""
}

// folders are the module cache and Go's own.
var folders = sync.OnceValues(func() ([]string, error) {
	output, err := exec.Command("go", "env", "GOMODCACHE", "GOROOT").Output()
	return strings.Fields(string(output)), err
})

func (m *module) dir() (string, error) {
	in, err := folders()
	if err != nil {
		return "", err
	}
	if m.path == "std" {
		return in[1], nil
	}
	path, err := xmodule.EscapePath(m.path)
	if err != nil {
		return "", err
	}
	version, err := xmodule.EscapeVersion(m.version)
	return filepath.Join(in[0], path+"@"+version), err
}
