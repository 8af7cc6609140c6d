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
	var out strings.Builder
	if f.value(&out, 0) != nil {
		return "", false
	}
	if _, err := f.decoder.Token(); err != io.EOF { //nolint:errorlint // the decoder's own
		return "", false
	}
	return template.HTML(out.String()), true
}

type folder struct {
	decoder *json.Decoder
	values  int
}

var errTooMuch = fmt.Errorf("more than %d values, or deeper than %d", mostValues, mostDepth)

func (f *folder) value(out *strings.Builder, depth int) error {
	token, err := f.decoder.Token()
	if err != nil {
		return err
	}
	if f.values++; f.values > mostValues || depth > mostDepth {
		return errTooMuch
	}
	switch v := token.(type) {
	case json.Delim:
		return f.nested(out, v, depth)
	case string:
		scalar(out, "s", jsonText(v))
	case json.Number:
		scalar(out, "d", v.String())
	default: // true, false, null
		text, _ := json.Marshal(v)
		scalar(out, "k", string(text))
	}
	return nil
}

// nested writes an object or an array. What it holds is counted while it is written, and named before it: it is written
// apart, and copied once for each level.
func (f *folder) nested(out *strings.Builder, open json.Delim, depth int) error {
	var within strings.Builder
	count := 0
	for f.decoder.More() {
		within.WriteString("<li>")
		if open == '{' {
			key, err := f.decoder.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			within.WriteString(`<span class="key">` + escaped(jsonText(name)) + "</span>: ")
		}
		if err := f.value(&within, depth+1); err != nil {
			return err
		}
		within.WriteString("</li>")
		count++
	}
	if _, err := f.decoder.Token(); err != nil {
		return err
	}
	sign, what := "{}", "key"
	if open == '[' {
		sign, what = "[]", "value"
	}
	if count != 1 {
		what += "s"
	}
	switch {
	case count == 0:
		scalar(out, "k", sign)
	case depth < openDepth:
		fmt.Fprintf(out, `<details open><summary>%s %d %s</summary><ul>%s</ul></details>`, sign, count, what, within.String())
	default:
		fmt.Fprintf(out, `<details><summary>%s %d %s</summary><ul>%s</ul></details>`, sign, count, what, within.String())
	}
	return nil
}

func scalar(out *strings.Builder, class, text string) {
	fmt.Fprintf(out, `<span class="%s">%s</span>`, class, escaped(text))
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
