// Package harmless makes text from strangers safe to print on a terminal.
package harmless

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON escapes what is no letter, sign or space in JSON that is written to it, a value at a time: control characters
// beyond those that JSON escapes by itself, and what is no UTF-8.
type JSON struct{ Out io.Writer }

// Write implements [io.Writer].
func (j JSON) Write(text []byte) (int, error) {
	safe := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError:
			safe = utf8.AppendRune(safe, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			safe = fmt.Appendf(safe, `\u%04x\u%04x`, high, low)
		default:
			safe = fmt.Appendf(safe, `\u%04x`, r)
		}
	}
	if _, err := j.Out.Write(safe); err != nil {
		return 0, err
	}
	return len(text), nil
}
