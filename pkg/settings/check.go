package settings

import (
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/socket"
)

// check holds a parsed value against the tags.
func (f field) check(given bool) error {
	if f.tag.Get("required") == "true" && !given {
		return fmt.Errorf("%s is not set: %s%s", f.name, f.tag.Get("help"), f.orFile())
	}
	shown := f.mask(f.text())
	if choices := f.tag.Get("oneof"); choices != "" && !slices.Contains(strings.Split(choices, ","), f.text()) {
		return fmt.Errorf("%s=%q: %s", f.name, shown, f.allowed())
	}
	least, hasLeast := f.bound("min")
	most, hasMost := f.bound("max")
	if n, isNumber := number(f.into); isNumber && (hasLeast && n < least || hasMost && n > most) {
		return fmt.Errorf("%s=%q: %s", f.name, shown, f.allowed())
	}
	if kind := f.tag.Get("listen"); kind != "" && !listenable(f.text()) && !isSocket(kind, f.text()) {
		return fmt.Errorf("%s=%q: use %s", f.name, shown, addresses[kind])
	}
	if f.tag.Get("reads") == "true" && f.text() != "" {
		return f.read()
	}
	return nil
}

// addresses are what the tag listen allows, in words.
var addresses = map[string]string{
	"true":   "host:port, or :port for every address of this machine",
	"unix":   "host:port, :port for every address of this machine, or unix:/path",
	"socket": "host:port, :port for every address of this machine, unix:/path, or systemd",
}

// isSocket reports whether an address is a socket that has no port, of a kind that the tag allows.
func isSocket(kind, address string) bool {
	path, isUnix := socket.Cut(address)
	return kind != "true" && isUnix && strings.HasPrefix(path, "/") || kind == "socket" && address == "systemd"
}

// listenable reports whether an address has a port, and one that there is.
func listenable(address string) bool {
	if address == "" {
		return true
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

func (f field) read() error {
	file, err := os.Open(f.text())
	if err != nil {
		return fmt.Errorf("%s: %w: name a file that this user may read", f.name, err)
	}
	return file.Close()
}

func (f field) orFile() string {
	if f.tag.Get("file") == "true" {
		return " (or name a file that holds it in " + f.name + fileSuffix + ")"
	}
	return ""
}

// allowed says in words what a value may be.
func (f field) allowed() string {
	if choices := f.tag.Get("oneof"); choices != "" {
		list := strings.ReplaceAll(choices, ",", ", ")
		if last := strings.LastIndex(list, ", "); last >= 0 {
			list = list[:last] + " or " + list[last+2:]
		}
		return "use " + list
	}
	words := map[reflect.Type]string{
		reflect.TypeFor[time.Duration](): "use a duration such as 90s, 5m or 24h",
		reflect.TypeFor[Bytes]():         "use a number of bytes, or one with KiB, MiB, GiB",
		reflect.TypeFor[int]():           "use a whole number",
		reflect.TypeFor[bool]():          "use true or false",
		reflect.TypeFor[time.Time]():     "use a time such as 2026-01-31T08:00:00Z",
	}[f.into.Type()]
	if words == "" {
		words = f.tag.Get("help")
	}
	least, most := f.tag.Get("min"), f.tag.Get("max")
	switch {
	case least != "" && most != "":
		return words + ", from " + least + " to " + most
	case least != "":
		return words + ", at least " + least
	case most != "":
		return words + ", at most " + most
	}
	return words
}

func (f field) bound(which string) (n int64, there bool) {
	text := f.tag.Get(which)
	if text == "" {
		return 0, false
	}
	var err error
	switch f.into.Type() {
	case reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = int64(d)
	case reflect.TypeFor[Bytes]():
		var b Bytes
		err = b.UnmarshalText([]byte(text))
		n = int64(b)
	default:
		n, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		panic(fmt.Sprintf("the tag %s of %s: %v", which, f.name, err)) // a slip in our source
	}
	return n, true
}

func number(v reflect.Value) (int64, bool) {
	if v.CanInt() {
		return v.Int(), true
	}
	return 0, false
}

func (f field) text() string { return fmt.Sprint(f.into.Interface()) }

// mask is a value fit for logs.
func (f field) mask(value string) string {
	switch {
	case value == "":
		return ""
	case f.tag.Get("secret") == "true":
		return fmt.Sprintf("(%d characters)", len(value))
	case f.tag.Get("secret") == "url":
		return mask.Address(value)
	}
	return value
}
