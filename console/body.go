package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"unicode/utf8"
)

// body is what came, as it can be shown.
type body struct {
	Size     int
	JSON     template.HTML // folded; empty where it is no JSON, or too much of it
	Text     string        // text, or a hexadecimal dump
	Hex      bool
	Cut      int    // bytes that are not shown
	Download string // where all of it is
}

// How much of a body a page shows.
const (
	mostJSON   = 256 << 10 // bytes
	mostValues = 5000      // of JSON
	mostDepth  = 64
	openDepth  = 2 // what lies deeper is folded
	mostText   = 64 << 10
	mostHex    = 16 << 10
	mostString = 4 << 10 // of one string in JSON
)

func bodyOf(data []byte, download string) body {
	b := body{Size: len(data), Download: download}
	if len(data) <= mostJSON {
		if html, ok := folded(data); ok {
			b.JSON = html
			return b
		}
	}
	most := mostText
	if b.Hex = !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0; b.Hex {
		most = mostHex
	}
	shown := data[:min(len(data), most)]
	b.Cut = len(data) - len(shown)
	if b.Hex {
		b.Text = hex.Dump(shown)
	} else {
		b.Text = strings.ToValidUTF8(string(shown), "") // the cut may go through a letter
	}
	return b
}

// folded is JSON as nested lists that can be opened and closed, in the order in which it came. It is not ok for what is no
// JSON, or too much.
func folded(data []byte) (html template.HTML, ok bool) {
	f := folder{decoder: json.NewDecoder(bytes.NewReader(data))}
	f.decoder.UseNumber()
	if f.value(0) != nil {
		return "", false
	}
	if _, err := f.decoder.Token(); err != io.EOF { //nolint:errorlint // the decoder's own
		return "", false
	}
	return template.HTML(f.out.String()), true
}

type folder struct {
	decoder *json.Decoder
	out     strings.Builder
	values  int
}

var errTooMuch = fmt.Errorf("more than %d values, or deeper than %d", mostValues, mostDepth)

func (f *folder) value(depth int) error {
	token, err := f.decoder.Token()
	if err != nil {
		return err
	}
	if f.values++; f.values > mostValues || depth > mostDepth {
		return errTooMuch
	}
	switch v := token.(type) {
	case json.Delim:
		return f.nested(v, depth)
	case string:
		f.scalar("s", jsonText(v))
	case json.Number:
		f.scalar("d", v.String())
	default: // true, false, null
		text, _ := json.Marshal(v)
		f.scalar("k", string(text))
	}
	return nil
}

// nested writes an object or an array. What it holds is counted while it is written, and named before it.
func (f *folder) nested(open json.Delim, depth int) error {
	outer, count := f.out, 0
	f.out = strings.Builder{}
	for f.decoder.More() {
		f.out.WriteString("<li>")
		if open == '{' {
			key, err := f.decoder.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			f.out.WriteString(`<span class="key">` + escaped(jsonText(name)) + "</span>: ")
		}
		if err := f.value(depth + 1); err != nil {
			return err
		}
		f.out.WriteString("</li>")
		count++
	}
	if _, err := f.decoder.Token(); err != nil {
		return err
	}
	inner, sign, what := f.out.String(), "{}", "key"
	if open == '[' {
		sign, what = "[]", "value"
	}
	if count != 1 {
		what += "s"
	}
	f.out = strings.Builder{}
	f.out.WriteString(outer.String())
	switch {
	case count == 0:
		f.scalar("k", sign)
	case depth < openDepth:
		fmt.Fprintf(&f.out, `<details open><summary>%s %d %s</summary><ul>%s</ul></details>`, sign, count, what, inner)
	default:
		fmt.Fprintf(&f.out, `<details><summary>%s %d %s</summary><ul>%s</ul></details>`, sign, count, what, inner)
	}
	return nil
}

func (f *folder) scalar(class, text string) {
	fmt.Fprintf(&f.out, `<span class="%s">%s</span>`, class, escaped(text))
}

// jsonText is a string as JSON writes it, cut where it is long.
func jsonText(text string) string {
	rest := ""
	if len(text) > mostString {
		rest = fmt.Sprintf(" … %d bytes more", len(text)-mostString)
		text = strings.ToValidUTF8(text[:mostString], "")
	}
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string can be encoded
	return strings.TrimSuffix(quoted.String(), "\n") + rest
}

func escaped(text string) string { return template.HTMLEscapeString(plain(text)) }
