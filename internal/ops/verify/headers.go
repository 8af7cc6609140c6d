// Package verify says why a webhook's signature or timestamp is refused, from its headers and its body as they were
// captured.
package verify

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
)

// Headers are the fields of a captured request, each with its values in order.
type Headers map[string][]string

// ParseHeaders reads lines of the form "Name: value", as `curl -D` writes them, with the "> " or "< " of `curl -v`
// before them, or without. Lines that are no fields, such as the request line, are skipped.
func ParseHeaders(text []byte) Headers {
	h := Headers{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimRight(lines.Text(), "\r\n")
		line = strings.TrimPrefix(strings.TrimPrefix(line, "> "), "< ")
		name, value, found := strings.Cut(line, ":")
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		h[name] = append(h[name], strings.TrimSpace(value))
	}
	return h
}

// first is the value that most receivers look at.
func (h Headers) first(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
