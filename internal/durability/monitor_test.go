package durability

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

// A monitoring port with TLS is asked with the files that connect to NATS itself.
func TestAMonitoringPortMayHaveTLS(t *testing.T) {
	t.Parallel()
	a := rig.NewAuthority(t)
	a.Issue("nats")
	a.Issue("client")
	shown, err := tls.LoadX509KeyPair(a.File("nats"), a.File("nats-key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"server_id":"N1"}`)) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{shown}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Trust().RootCAs}
	server.StartTLS()
	defer server.Close()
	files := secure.Files{Server: "NATS", CA: a.File("ca"), Cert: a.File("client"), Key: a.File("client-key")}
	if told, err := askMonitor(t.Context(), server.URL, files); err != nil || told.ServerID != "N1" {
		t.Errorf("%+v, %v", told, err)
	}
	for want, files := range map[string]secure.Files{"set NATS_CA": {Server: "NATS"}, "set NATS_CERT": {Server: "NATS", CA: files.CA}} {
		if _, err := askMonitor(t.Context(), server.URL, files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
