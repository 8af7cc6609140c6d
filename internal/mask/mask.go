// Package mask removes possible secrets from addresses, for logs, errors and screens.
package mask

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where something was.
const hidden = "xxxxx"

// Address is an address, or a list of them separated by commas, without users, passwords and tokens: a URL with or
// without its scheme (nats://token@host, user:password@host, redis://host?password=…), or the names and values of a
// database (host=… password=…). Only what is known to be harmless is shown: what cannot be understood is hidden, so
// that a slip of the keyboard shows no secret either.
func Address(list string) string {
	if strings.TrimSpace(list) == "" {
		return list
	}
	if named.MatchString(list) {
		return values(list)
	}
	parts := addresses(list)
	for i, part := range parts {
		parts[i] = one(part)
	}
	return strings.Join(parts, ",")
}

var (
	scheme  = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)
	further = regexp.MustCompile(`,\s*[A-Za-z][A-Za-z0-9+.-]*://`)
	hosts   = regexp.MustCompile(`^[A-Za-z0-9._,-]*(\[[0-9A-Fa-f:.]*\])?(:[0-9]*)?(,[A-Za-z0-9._-]*(\[[0-9A-Fa-f:.]*\])?(:[0-9]*)?)*$`)
	path    = regexp.MustCompile(`^[A-Za-z0-9._~/+-]*$`)
	name    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)
	value   = regexp.MustCompile(`^[A-Za-z0-9._:/,-]*$`)
	leading = regexp.MustCompile(`^([A-Za-z0-9.-]+:4222,\s*)+`)
	named   = regexp.MustCompile(`^\s*[A-Za-z_]+\s*=`)
)

// addresses takes a list apart. A comma separates only before a scheme: elsewhere it may be part of a password, and the
// names of several hosts are shown all the same.
func addresses(list string) (parts []string) {
	for {
		at := further.FindStringIndex(list)
		if at == nil {
			return append(parts, list)
		}
		parts, list = append(parts, list[:at[0]]), list[at[0]+1:]
	}
}

// one masks one address. Whatever stands before the last @ is taken for user and password, wherever it is, except for
// hosts in front with NATS's own port: no password begins so.
func one(text string) string {
	if (strings.HasPrefix(text, ".") || strings.HasPrefix(text, "/")) && !strings.ContainsAny(text, "@?=") { // a folder
		return text
	}
	begin := scheme.FindString(text)
	rest := text[len(begin):]
	user := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = leading.FindString(rest[:at])+hidden+"@", rest[at+1:]
	}
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	host, folder, hasFolder := strings.Cut(rest, "/")
	if !hosts.MatchString(host) || !path.MatchString(folder) {
		return begin + hidden
	}
	shown := begin + user + host
	if hasFolder {
		shown += "/" + folder
	}
	if hasQuery {
		shown += "?" + parameters(query)
	}
	if hasFragment && fragment != "" {
		shown += "#" + hidden
	}
	return shown
}

// harmless are the parameters of an address whose values are no secrets. All others are hidden.
var harmless = []string{
	"host", "hostaddr", "port", "dbname", "database", "sslmode", "connect_timeout", "application_name", "search_path",
	"target_session_attrs", "timezone", "pool_max_conns", "pool_min_conns", // PostgreSQL
	"cluster", "master_name", "db", "protocol", "addr", "dial_timeout", "read_timeout", "write_timeout", "max_retries", "pool_size", // Redis
	"region", "endpoint", "prefix", "profile", "disable_https", "use_path_style", "hostname_immutable", // buckets
}

func parameters(query string) string {
	all := strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' })
	for i, parameter := range all {
		key, is, found := strings.Cut(parameter, "=")
		all[i] = pair(key, is, found)
	}
	return strings.Join(all, "&")
}

// pair is a name and its value as they may be shown.
func pair(key, is string, found bool) string {
	switch {
	case !found || !name.MatchString(key):
		return hidden
	case slices.Contains(harmless, strings.ToLower(key)) && value.MatchString(is):
		return key + "=" + is
	}
	return key + "=" + hidden
}

// keyed is a name and its value as databases read them: quoted, or up to the next space, each with escapes.
var keyed = regexp.MustCompile(`^\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^'\s\\]|\\.)(?:[^\s\\]|\\.)*|)(?:\s+|$)`)

func values(text string) string {
	var all []string
	for rest := text; strings.TrimSpace(rest) != ""; {
		next := keyed.FindStringSubmatch(rest)
		if next == nil {
			return strings.Join(append(all, hidden), " ")
		}
		rest = rest[len(next[0]):]
		all = append(all, pair(next[1], strings.Trim(next[2], "'"), true))
	}
	return strings.Join(all, " ")
}

// leastSecret is how long a part of an address has to be to be looked for in other texts: a shorter one is part of
// every other word.
const leastSecret = 3

// Text is what a library says about an address, such as an error that quotes it, without what Address hides.
func Text(text, address string) string {
	shown := Address(address)
	text = strings.ReplaceAll(text, address, shown)
	for _, part := range parts(address) {
		if !strings.Contains(shown, part) {
			text = strings.ReplaceAll(text, part, hidden)
		}
	}
	return text
}

// parts are the words of an address, as they stand and as they are read, the longest first.
func parts(address string) (all []string) {
	for _, part := range strings.FieldsFunc(address, func(r rune) bool { return strings.ContainsRune(`:/?#[]@!$&'()*+,;= "\`, r) }) {
		all = append(all, part)
		if read, err := url.PathUnescape(part); err == nil {
			all = append(all, read)
		}
	}
	all = slices.DeleteFunc(all, func(part string) bool { return len(part) < leastSecret })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// shownDigits of a signature are enough to compare it, and not to use it.
const shownDigits = 16

// Signature is a webhook's signature header of which the first digits are left, and the length up to a bound.
func Signature(header string) string {
	const scheme, most = "sha256=", 128
	shown := shownDigits
	if len(header) >= len(scheme) && strings.EqualFold(header[:len(scheme)], scheme) {
		shown += len(scheme)
	}
	if len(header) <= shown {
		return header
	}
	return header[:shown] + strings.Repeat("*", min(len(header)-shown, most))
}
