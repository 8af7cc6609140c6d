package sluice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

var dataOf = regexp.MustCompile(`is the data of ([a-z_.]+[a-z])`)

// field is one of an event's data, as pkg/zorio declares it.
type field struct{ name, of, comment string }

// Every kind of event has a heading of its own, and its table and sample stand below it.
func TestTheCatalogueHasEveryEvent(t *testing.T) {
	page := rig.Pages(t)["docs/events.md"]
	for _, name := range zorio.Names() {
		if strings.Count(page, "\n### `"+name+"`\n") != 1 || strings.Count(page, "<!-- event "+name+" -->\n") != 1 {
			t.Errorf("docs/events.md has no section of its own for %s", name)
		}
	}
	for _, name := range zorio.Known() {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/events.md does not name %s", name)
		}
	}
}

// eventTable is what the code knows of one kind of event: its fields, who handles it, and the sample.
func eventTable(t *testing.T, name string) string {
	t.Helper()
	body, known := zorio.Sample(name)
	if !known {
		t.Fatalf("there is no sample of %q", name)
	}
	parsed, err := zorio.ParseBody(body)
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]any
	var pretty bytes.Buffer
	if err := json.Unmarshal(parsed.Data, &data); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	goType, fields := declaredData(t, name)
	rows := "| field of `data` | type | |\n|---|---|---|\n"
	for _, f := range fields {
		rows += fmt.Sprintf("| `%s` | %s | %s |\n", f.name, typeOf(f, data[f.name]), f.comment)
	}
	return fmt.Sprintf("%s\nIn Go `zorio.%s`. Handled by %s.\n\n```json\n%s\n```\n", rows, goType, handlers(t, name), strings.TrimSpace(pretty.String()))
}

// typeOf is what JSON has there: the sample says it, and where the sample has null, the declaration.
func typeOf(f field, value any) string {
	switch value.(type) {
	case string:
		if f.of == "Time" {
			return "time"
		}
		return "text"
	case float64:
		return "number"
	case map[string]any:
		return "object"
	}
	return map[string]string{"Text": "text", "Number": "number", "Integer": "number", "Time": "time"}[f.of] + " or null"
}

// declaredData is the type that pkg/zorio has for the data of an event, and its fields, those of embedded types first.
func declaredData(t *testing.T, name string) (goType string, fields []field) {
	t.Helper()
	structs := map[string]*ast.StructType{}
	for file := range sources(t, ".go") {
		if path.Dir(file) != "pkg/zorio" {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range syntax.Decls {
			general, is := d.(*ast.GenDecl)
			if !is || general.Tok != token.TYPE {
				continue
			}
			spec := general.Specs[0].(*ast.TypeSpec)
			if s, is := spec.Type.(*ast.StructType); is {
				structs[spec.Name.Name] = s
				if of := dataOf.FindStringSubmatch(general.Doc.Text()); of != nil && of[1] == name {
					goType = spec.Name.Name
				}
			}
		}
	}
	if goType == "" {
		t.Fatalf("no type of pkg/zorio says that it is the data of %s", name)
	}
	return goType, fieldsOf(structs, goType)
}

func fieldsOf(structs map[string]*ast.StructType, name string) (fields []field) {
	for _, f := range structs[name].Fields.List {
		if f.Tag == nil { // embedded
			fields = append(fields, fieldsOf(structs, f.Type.(*ast.Ident).Name)...)
			continue
		}
		of := "RawMessage"
		if plain, is := f.Type.(*ast.Ident); is {
			of = plain.Name
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		fields = append(fields, field{tag.Get("json"), of, strings.TrimSpace(f.Comment.Text())})
	}
	return fields
}

// handlers are the teams whose consumers name an event.
func handlers(t *testing.T, name string) string {
	t.Helper()
	teams := map[string]bool{}
	for file, text := range sources(t, ".go") {
		if strings.HasPrefix(file, "consumer/") && !strings.HasSuffix(file, "_test.go") && strings.Contains(text, `"`+name+`"`) {
			teams["`"+strings.Split(file, "/")[1]+"`"] = true
		}
	}
	if len(teams) == 0 {
		t.Errorf("no consumer handles %s", name)
	}
	return strings.Join(slices.Sorted(maps.Keys(teams)), ", ")
}
