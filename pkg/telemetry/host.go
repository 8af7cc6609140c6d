package telemetry

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// onlyHere refuses requests for a host that a page on the internet could have given this machine's address to, and so
// keeps the browsers of those who may reach it from reading for others (DNS rebinding). Let in are addresses, the name
// that is listened on, and names that nobody can register: those without a dot, and those below a reserved end.
func onlyHere(next http.Handler, listen string) http.Handler {
	own, _, _ := net.SplitHostPort(listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostname(r.Host); host != strings.ToLower(own) && !isOfNobody(host) {
			http.Error(w, fmt.Sprintf("%q is no name of this machine's: ask for it by its address", host), http.StatusMisdirectedRequest)
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

// reserved are the ends of names that only a network's own servers know.
var reserved = []string{".localhost", ".local", ".internal", ".test", ".home.arpa", ".svc"}

func isOfNobody(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	for _, end := range reserved {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}
