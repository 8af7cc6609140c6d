package main

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/pkg/event"
)

// functions are what templates have beside those of html/template.
var functions = template.FuncMap{
	"plain": plain, "when": when, "ago": ago, "count": count, "size": size, "chip": chip, "spark": spark, "command": command, "lasts": lasts, "rate": rate, "chart": chart, "sentence": sentence,
	"list": func(words ...string) []string { return words }, "rowLink": rowLink, "hitLink": hitLink, "answerKind": answerKind, "answerWord": answerWord, "took": took, "quoted": quoted,
	"reasonKind": reasonKind, "stateKind": stateKind,
	"replayed": func(e *replay.Entry) string { return whatIsReplayed(e.Selection, e.OnlyMissing) },
}

// reasonKind is the colour of why an event was dead-lettered: a handler that has said so is no surprise.
func reasonKind(reason string) string {
	if reason == event.ReasonPermanent {
		return "warn"
	}
	return "bad"
}

// plain is a text of a stranger as it can be shown: what is no letter, sign, space or line stands escaped. Templates
// escape it for HTML.
func plain(text string) string {
	var safe strings.Builder
	for i, r := range text {
		switch _, width := utf8.DecodeRuneInString(text[i:]); {
		case r == utf8.RuneError && width == 1:
			fmt.Fprintf(&safe, "\\x%02x", text[i])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			safe.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&safe, "\\x%02x", r)
		default:
			fmt.Fprintf(&safe, "\\u%04x", r)
		}
	}
	return safe.String()
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	first, width := utf8.DecodeRuneInString(text)
	if text == "" || strings.HasPrefix(text, "sluicectl") {
		return text
	}
	text = string(unicode.ToUpper(first)) + text[width:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// when is a time. The script shows it in the zone of who reads.
func when(at any) template.HTML { return timeElement(at, "at") }

// ago is how long ago a time was. The script keeps it right.
func ago(at any) template.HTML { return timeElement(at, "ago") }

func timeElement(at any, how string) template.HTML {
	t, known := at.(time.Time)
	if p, isPointer := at.(*time.Time); isPointer && p != nil {
		t, known = *p, true
	}
	if !known || t.IsZero() {
		return `<span class="none">–</span>`
	}
	t = t.UTC()
	text := t.Format("2006-01-02 15:04:05 UTC")
	shown := text
	if how == "ago" {
		shown = lasts(time.Since(t)) + " ago"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-time="%s" title="%s">%s</time>`, t.Format(time.RFC3339Nano), how, text, shown))
}

// lasts is a duration in one unit: 5 s, 12 min, 3 h, 2 d.
func lasts(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// count is a whole number with its thousands apart.
func count(n any) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// size is a number of bytes in the unit that people would use.
func size(n any) string {
	bytes, _ := strconv.ParseFloat(fmt.Sprint(n), 64)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if bytes < 1024 {
			return fmt.Sprintf("%.4g %s", bytes, unit)
		}
		bytes /= 1024
	}
	return fmt.Sprintf("%.4g TiB", bytes)
}

// chip is a word in a colour: good, warn, bad or quiet.
func chip(kind, word string) template.HTML {
	if !slices.Contains([]string{"good", "warn", "bad", "quiet"}, kind) {
		kind = "quiet"
	}
	return template.HTML(fmt.Sprintf(`<span class="chip %s">%s</span>`, kind, template.HTMLEscapeString(plain(word))))
}

// command is what does the same on a command line, with a button that copies it.
func command(line string) template.HTML {
	text := template.HTMLEscapeString(plain(line))
	return template.HTML(`<span class="command"><code>` + text + `</code><button type="button" data-copy="` + text + `" aria-label="Copy the command">copy</button></span>`)
}

// Size of a sparkline, in its own units.
const (
	sparkWidth  = 120
	sparkHeight = 24
)

// spark draws values as a line over equal steps; NaN is a gap. What names it for those who do not see it.
func spark(what string, values []float64) template.HTML {
	line, most, last := path(values, sparkWidth, sparkHeight)
	if line == "" {
		return `<span class="spark none"></span>`
	}
	label := template.HTMLEscapeString(fmt.Sprintf("%s: at most %s, in the last minute %s", what, brief(most), brief(last)))
	return template.HTML(fmt.Sprintf(`<svg class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s"><title>%s</title><path d="%s"/></svg>`,
		sparkWidth, sparkHeight, label, label, line))
}

// brief is a number with as many digits as it is worth.
func brief(v float64) string {
	if v == 0 || v >= 100 {
		return count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// rate is how many a second; nil where it was not measured.
func rate(r *float64) string {
	switch {
	case r == nil:
		return ""
	case *r > 0 && *r < 1:
		return fmt.Sprintf("%.1f/min", 60**r)
	}
	return brief(*r) + "/s"
}

// Size of a chart, in its own units; labels stand beside it.
const (
	chartWidth  = 960
	chartHeight = 160
)

// chart draws the values of the last hour with its greatest value and its ends named.
func chart(what string, values []float64) template.HTML {
	line, most, last := path(values, chartWidth, chartHeight)
	if line == "" {
		return `<p class="empty">Nothing is known yet: the console draws what it has seen since it started.</p>`
	}
	label := template.HTMLEscapeString(fmt.Sprintf("%s: at most %s, in the last minute %s", what, brief(most), brief(last)))
	return template.HTML(fmt.Sprintf(`<figure class="chart"><svg viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s"><title>%s</title><path d="%s"/></svg>`+
		`<figcaption><span>an hour ago</span><span>at most %s</span><span>last minute %s</span></figcaption></figure>`, chartWidth, chartHeight, label, label, line, brief(most), brief(last)))
}

// path is a line through values at equal steps, empty where there are none, with the greatest and the last of them.
func path(values []float64, width, height float64) (line string, most, last float64) {
	last = math.NaN()
	for _, v := range values {
		if !math.IsNaN(v) {
			most, last = max(most, v), v
		}
	}
	if math.IsNaN(last) {
		return "", 0, 0
	}
	var text strings.Builder
	pen := "M"
	for i, v := range values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		x, y := float64(i)*width/float64(max(len(values)-1, 1)), height-1-v/max(most, 1e-9)*(height-2)
		if pen == "M" { // a point alone is seen too
			fmt.Fprintf(&text, "M%.1f %.1fh.1", x, y)
		}
		fmt.Fprintf(&text, "L%.1f %.1f", x, y)
		pen = "L"
	}
	return text.String(), most, last
}
