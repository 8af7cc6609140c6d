package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// table lists the modules without their versions, so that it changes when a licence does.
func table(w io.Writer, l linked) error {
	rows := "| module | licence | in |\n|---|---|---|\n"
	for _, m := range l.modules {
		rows += fmt.Sprintf("| `%s` | %s | %s |\n", m.path, m.license.id, strings.Join(l.with(m), ", "))
	}
	_, err := io.WriteString(w, rows)
	return err
}

// with are the names of the programs that a module is linked into; "all" where it is in each.
func (l linked) with(m *module) (names []string) {
	for _, p := range l.programs {
		if slices.Contains(p.modules, m) {
			names = append(names, p.name)
		}
	}
	if len(names) == len(l.programs) {
		return []string{"all"}
	}
	return names
}

// texts are what has to go with the programs wherever they go.
func texts(w io.Writer, l linked) error {
	for _, m := range l.modules {
		if _, err := fmt.Fprintf(w, "%s\n%s %s (%s)\n\n%s\n", strings.Repeat("=", 80), m.path, m.version, m.license.id, strings.Join(m.license.texts, "\n\n")); err != nil {
			return err
		}
	}
	return nil
}

// bom has no time and no number of its own: the same programs have the same bill.
func bom(w io.Writer, l linked, version string) error {
	bill := cdx.NewBOM()
	bill.Metadata = &cdx.Metadata{Component: &cdx.Component{BOMRef: ours, Type: cdx.ComponentTypeApplication, Name: "sluice", Version: version, PackageURL: "pkg:golang/" + ours}}
	var components []cdx.Component
	var dependencies []cdx.Dependency
	for _, p := range l.programs {
		components = append(components, cdx.Component{BOMRef: p.pkg, Type: cdx.ComponentTypeApplication, Name: p.name, Version: version, PackageURL: "pkg:golang/" + p.pkg})
		var refs []string
		for _, m := range p.modules {
			refs = append(refs, m.url())
		}
		dependencies = append(dependencies, cdx.Dependency{Ref: p.pkg, Dependencies: &refs})
	}
	for _, m := range l.modules {
		c := cdx.Component{
			BOMRef: m.url(), Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version, PackageURL: m.url(),
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: m.license.id}}},
		}
		if m.sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.sum}}
		}
		components = append(components, c)
	}
	bill.Components, bill.Dependencies = &components, &dependencies
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bill)
}

func (m *module) url() string { return "pkg:golang/" + m.path + "@" + m.version }
