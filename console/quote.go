package main

import (
	"regexp"
	"strings"
)

var harmless = regexp.MustCompile(`^[A-Za-z0-9_.:/@%+=-]+$`)

// quoted is a word of a command for a shell: what a stranger has sent runs nothing when it is pasted, and is no flag.
func quoted(word string) string {
	if !harmless.MatchString(word) {
		word = "'" + strings.ReplaceAll(plain(word), "'", `'\''`) + "'"
	}
	if strings.HasPrefix(strings.TrimPrefix(word, "'"), "-") {
		return "-- " + word
	}
	return word
}
