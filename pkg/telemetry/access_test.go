package telemetry

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const token = "0123456789abcdef"

// What tells more than that the process runs is for those who have the token.
func TestWithATokenOnlyThoseWhoHaveItLearnMore(t *testing.T) {
	guarded, open := serving(t, "127.0.0.1:0", token), serving(t, "127.0.0.1:0", "")
	guarded.Watch("nats", func() Health { return Health{Status: Degraded, Detail: "at 10.0.0.7"} })
	for _, c := range []struct {
		at                   *Admin
		path, sent, contains string
		code                 int
	}{
		{guarded, "/healthz", "", "ok", 200},
		{guarded, "/readyz", "", `"withheld": true`, 200},
		{guarded, "/readyz", "Bearer " + token, "10.0.0.7", 200},
		{guarded, "/readyz", "Bearer wrong", "SLUICE_ADMIN_TOKEN", 401},
		{guarded, "/metrics", "", "SLUICE_ADMIN_TOKEN", 401},
		{guarded, "/metrics", "Bearer " + token + "0", "SLUICE_ADMIN_TOKEN", 401},
		{guarded, "/metrics", token, "SLUICE_ADMIN_TOKEN", 401},
		{guarded, "/metrics", "Bearer " + token, "sluice_build_info", 200},
		{guarded, "/debug/pprof/cmdline", "", "SLUICE_ADMIN_TOKEN", 401},
		{guarded, "/debug/pprof/cmdline", "Bearer " + token, "telemetry", 200},
		{guarded, "/nothing", "", "SLUICE_ADMIN_TOKEN", 401},
		{open, "/debug/pprof/cmdline", "", "set SLUICE_ADMIN_TOKEN", 403},
		{open, "/debug/pprof/cmdline", "Bearer ", "set SLUICE_ADMIN_TOKEN", 403},
		{open, "/metrics", "Bearer of something else", "sluice_build_info", 200},
	} {
		code, body := ask(t, c.at.Addr(), c.path, c.sent)
		if code != c.code || !strings.Contains(body, c.contains) {
			t.Errorf("%s with %q: %d %s", c.path, c.sent, code, body)
		}
		if c.sent == "" && strings.Contains(body, "10.0.0.7") {
			t.Errorf("%s tells a stranger: %s", c.path, body)
		}
	}
}

func serving(t *testing.T, address, token string) *Admin {
	t.Helper()
	a, err := NewAdmin("gateway", address, token)
	if err != nil {
		t.Fatal(err)
	}
	go a.Serve()
	t.Cleanup(func() { a.Shutdown(t.Context()); http.DefaultClient.CloseIdleConnections() })
	return a
}

func ask(t *testing.T, address, path, authorization string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return answerTo(t, request)
}

func TestAnAddressThatOthersReachNeedsAToken(t *testing.T) {
	for _, c := range []struct{ address, token, want string }{
		{"127.0.0.1:3001", "", ""}, {"localhost:3001", "", ""}, {"[::1]:3001", "", ""}, {"unix:/run/a", "", ""}, {"", "", ""},
		{":3001", "", "SLUICE_ADMIN_TOKEN_FILE"}, {"0.0.0.0:3001", "", "127.0.0.1"}, {"gateway:3001", "", "SLUICE_ADMIN=gateway:3001 can be reached"},
		{":3001", token, ""}, {"127.0.0.1:3001", "short", "at least 16"},
	} {
		err := CheckAdmin(c.address, c.token)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q with %q: %v", c.address, c.token, err)
		}
	}
	if _, err := NewAdmin("gateway", "0.0.0.0:0", ""); err == nil {
		t.Error("it listens for everybody")
	}
}

func TestTheAdminAddressMayBeASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin")
	a := serving(t, "unix:"+path, token)
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for given, want := range map[string]string{token: "", "": "", "0000000000000000": "SLUICE_ADMIN_TOKEN"} {
		r, err := Ask(t.Context(), a.Addr(), given)
		if want == "" && (err != nil || r.PID != os.Getpid() || r.Withheld != (given == "")) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("with %q: %+v, %v", given, r, err)
		}
	}
}
