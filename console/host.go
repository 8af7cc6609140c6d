package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hosts refuses requests for a name that a page on the internet could have given this machine's address to, and so keeps
// browsers from reading, and doing, for others what only their user may (DNS rebinding). Addresses and localhost cannot be
// had that way; other names are those of SLUICE_CONSOLE_HOSTS and the one that is listened on.
func (s *server) hosts(next http.Handler) http.Handler {
	names := list(strings.ToLower(s.settings.Hosts))
	if own, _, err := net.SplitHostPort(s.settings.Listen); err == nil {
		names = append(names, strings.ToLower(own))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		_, err := netip.ParseAddr(host)
		if err != nil && host != "localhost" && !slices.Contains(names, host) {
			http.Error(w, fmt.Sprintf("%q is not known as a name of this console: add it to SLUICE_CONSOLE_HOSTS, or ask for the console by its address", host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
