// Package settings reads a daemon's settings from the environment, and is the command line of all daemons: --help,
// --version and --check.
//
// A setting is a field of a struct, described by its tags:
//
//	env         the variable; an empty one counts as not set
//	envDefault  the value where it is not set; a method Defaults() map[string]string of the struct has others, by variable
//	help        one line, for --help and docs/settings.md
//	required    "true": the start fails where it is not set
//	oneof       the values that are allowed, separated by commas
//	min, max    bounds of an int, a time.Duration or [Bytes], both allowed
//	secret      "true": never shown; "url": an address, shown as package mask shows it
//	exposes     what an address to listen on gives to whoever reaches it, without asking who it is
//	listen      "true": host:port or :port; "unix": unix:/path too; "socket": systemd as well
//	reads       "true": names a file, which has to be there
//	file        "true": <env>_FILE may name a file that holds the value instead
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Load fills the struct that s points to from the environment and the files it names. The error joins one line for
// each setting that is wrong: its name, its value unless that is secret, and what is allowed. When each is right by
// itself, the method Check() error of s and of the structs in it is asked last, where there is one: for what settings only
// name, such as a file.
func Load(s any) error { return load(s, env.ToMap(os.Environ())) }

func load(s any, environment map[string]string) error {
	all := fields(s)
	given, wrong := values(all, environment)
	if err := env.ParseWithOptions(s, env.Options{Environment: given}); err != nil {
		wrong = append(wrong, explain(all, given, err)...)
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	for _, f := range all {
		if err := f.check(given[f.name] != ""); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	return errors.Join(checked(s)...)
}

// checked asks the structs inside s before s, whose method may be that of a struct it embeds: each says it once.
func checked(s any) (wrong []error) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); isGroup(f) {
			wrong = append(wrong, checked(v.Field(i).Addr().Interface())...)
		}
	}
	c, ok := s.(interface{ Check() error })
	if !ok {
		return wrong
	}
	if err := c.Check(); err != nil && !slices.ContainsFunc(wrong, func(said error) bool { return said.Error() == err.Error() }) {
		wrong = append(wrong, err)
	}
	return wrong
}

// isGroup reports whether a field is a struct of settings.
func isGroup(f reflect.StructField) bool {
	return f.IsExported() && f.Type.Kind() == reflect.Struct && f.Tag.Get("env") == ""
}

// values are the variables of the fields that are set, those from files among them, and the defaults of the others.
func values(all []field, environment map[string]string) (given map[string]string, wrong []error) {
	given = map[string]string{}
	for _, f := range all {
		value, err := f.value(environment)
		if err != nil {
			wrong = append(wrong, err)
		}
		if value = cmp.Or(value, f.unset); value != "" {
			given[f.name] = value
		}
	}
	return given, wrong
}

// field is one setting: where it comes from and where it goes.
type field struct {
	name  string // of the variable
	tag   reflect.StructTag
	path  string // of the struct's field, as env calls it
	into  reflect.Value
	unset string // the value where it is not set
}

// fields lists the settings of a struct, those of structs inside it in their place.
func fields(s any) []field {
	all := tagged(s)
	if d, has := s.(interface{ Defaults() map[string]string }); has {
		for i, f := range all {
			all[i].unset = cmp.Or(d.Defaults()[f.name], f.unset)
		}
	}
	return all
}

func tagged(s any) (all []field) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if name := f.Tag.Get("env"); name != "" {
			all = append(all, field{name: name, tag: f.Tag, path: f.Name, into: v.Field(i), unset: f.Tag.Get("envDefault")})
		} else if isGroup(f) {
			all = append(all, tagged(v.Field(i).Addr().Interface())...)
		}
	}
	return all
}

const fileSuffix = "_FILE"

// value is what the environment says, directly or through a file.
func (f field) value(environment map[string]string) (string, error) {
	value, file := environment[f.name], environment[f.name+fileSuffix]
	switch {
	case f.tag.Get("file") != "true" || file == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %s are both set: unset one of them", f.name, f.name+fileSuffix)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w: name a file that this user may read", f.name+fileSuffix, err)
	}
	value = strings.TrimSpace(string(content))
	if value == "" {
		return "", fmt.Errorf("%s: the file %s is empty", f.name+fileSuffix, file)
	}
	return value, nil
}

// explain turns what the parser says into lines that name variable, value and what is allowed.
func explain(all []field, given map[string]string, err error) (lines []error) {
	var several env.AggregateError
	if !errors.As(err, &several) {
		return []error{err}
	}
	for _, one := range several.Errors {
		var unparsed env.ParseError
		if !errors.As(one, &unparsed) {
			lines = append(lines, one)
			continue
		}
		for _, f := range all {
			if f.path == unparsed.Name {
				lines = append(lines, fmt.Errorf("%s=%q: %s", f.name, f.mask(given[f.name]), f.allowed()))
			}
		}
	}
	return lines
}
