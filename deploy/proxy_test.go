package deploy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// proxied is a proxy with one of our configuration files in front of a gateway.
type proxied struct {
	t      *testing.T
	url    string
	client *http.Client // from 127.0.0.2
}

// startProxy starts a proxy with a file of deploy/proxy, whose addresses and paths are those of the test.
func startProxy(t *testing.T, file, gateway string, a *rig.Authority) *proxied {
	t.Helper()
	dir, listen := t.TempDir(), rig.Address(t)
	_, port, _ := strings.Cut(listen, ":")
	text := read(t, filepath.Join(rig.Root(t), "deploy", "proxy", file))
	config := filepath.Join(dir, file)
	put(t, config, strings.NewReplacer("listen 443", "listen "+port, "hooks.example.com {", "https://localhost:"+port+" {", "127.0.0.1:3000", gateway,
		"/etc/sluice/fullchain.pem", a.File("site"), "/etc/sluice/privkey.pem", a.File("site-key"),
		"/run/nginx.pid", filepath.Join(dir, "pid"), "/var/log/nginx/error.log", "stderr", "# SLUICE_MAX_BODY", "").Replace(text))
	arguments := []string{"run", "--config", config, "--adapter", "caddyfile"}
	program := "caddy"
	if file != "Caddyfile" {
		program, arguments = "nginx", []string{"-p", dir, "-c", config, "-g", "daemon off;"}
	}
	rig.Start(t, programOf(t, program), arguments, rig.Environment("XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)).Listening(listen)
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	transport := &http.Transport{TLSClientConfig: a.Trust(), DialContext: from.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &proxied{t: t, url: "https://localhost:" + port + "/webhook", client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

func programOf(t *testing.T, name string) string {
	t.Helper()
	for _, place := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(place); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: `make deps` installs it", name)
	return ""
}

// post delivers a body of this size, and returns the answer and its Retry-After.
func (p *proxied) post(secret, delivery string, size int) (answer, retryAfter string) {
	p.t.Helper()
	begin, end := fmt.Sprintf(`{"event":"pbx.cdr.created","data":{"notes":"%s`, delivery), `"}}`
	body := []byte(begin + strings.Repeat("x", max(0, size-len(begin)-len(end))) + end)
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header = zorio.Headers(secret, "pbx.cdr.created", delivery, time.Now(), body)
	request.Header.Set("X-Forwarded-For", "203.0.113.9") // which nobody may believe
	response, err := p.client.Do(request)
	if err != nil {
		return err.Error(), ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", string(text)), response.Header.Get("Retry-After")
}

var proxyFiles = map[string][]string{
	"nginx.conf":        nil,
	"Caddyfile":         nil,
	"nginx-stream.conf": {"SLUICE_PROXY_PROTOCOL=true"}, // and the gateway ends TLS
}

// Through each of the proxies a delivery arrives whole, the gateway knows who sent it, and a restart of the gateway costs
// none.
func TestDeliveriesComeThroughProxies(t *testing.T) {
	t.Parallel()
	for file, settings := range proxyFiles {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			a := rig.NewAuthority(t)
			a.Issue("site")
			if settings != nil {
				settings = append(settings, "SLUICE_TLS_CERT="+a.File("site"), "SLUICE_TLS_KEY="+a.File("site-key"))
			}
			g := rig.StartGateway(t, rig.Launch{Socket: rig.Socket(t)}, append(settings, "SLUICE_TRUSTED_PROXIES=127.0.0.1")...)
			p := startProxy(t, file, g.Address, a)
			g.Ready()
			for delivery, c := range map[string]struct {
				secret string
				size   int
				want   string
			}{
				"small": {rig.Secret, 100, "200 OK"}, "largest": {rig.Secret, 1 << 20, "200 OK"},
				"too large": {rig.Secret, 1<<20 + 1, "413"}, "forged": {webhookSecret[:31] + "x", 100, "401 Invalid signature"},
			} {
				answer, _ := p.post(c.secret, delivery, c.size)
				if brokenOff := c.want == "413" && strings.HasPrefix(answer, "502"); brokenOff {
					continue // the gateway had refused it before Caddy had sent it all
				}
				if !strings.HasPrefix(answer, c.want) {
					t.Errorf("%s: %s", delivery, answer)
				}
			}
			g.WaitFor(`"peer":"127.0.0.2`, 30*time.Second)
			p.survivesARestart(g)
		})
	}
}

// survivesARestart delivers one after the other while the gateway stops and starts again.
func (p *proxied) survivesARestart(g *rig.Gateway) {
	p.t.Helper()
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		g.Stop(time.Minute)
		g.Start()
		g.Ready()
	}()
	for n, over := 0, false; !over; n++ {
		select {
		case <-restarted:
			over = true
		default:
		}
		if answer, _ := p.post(rig.Secret, fmt.Sprint("restart-", n), 100); answer != "200 OK" {
			p.t.Errorf("delivery %d beside a restart: %s", n, answer)
		}
	}
}

// What the gateway says when it cannot store is passed on as it is, once, and however long the gateway takes.
func TestProxiesPassOnThatAGatewayCannotStore(t *testing.T) {
	t.Parallel()
	for file, settings := range proxyFiles {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			a := rig.NewAuthority(t)
			a.Issue("site")
			if settings != nil {
				settings = append(settings, "SLUICE_TLS_CERT="+a.File("site"), "SLUICE_TLS_KEY="+a.File("site-key"))
			}
			g := rig.StartGateway(t, rig.Launch{}, append(settings, "SLUICE_TRUSTED_PROXIES=127.0.0.1", "SLUICE_JOURNAL=off", "NATS_URL=nats://"+rig.Address(t))...)
			g.Listening(g.Address)
			p := startProxy(t, file, g.Address, a)
			if answer, retryAfter := p.post(rig.Secret, "1", 100); !strings.HasPrefix(answer, "503 ") || retryAfter != "30" {
				t.Errorf("%s, Retry-After %q", answer, retryAfter)
			}
			if metrics := rig.Get(t, "http://"+g.Admin+"/metrics"); !strings.Contains(metrics, "\nsluice_requests_total{answer=\"starting\"} 1\n") {
				t.Error("it was not asked once")
			}
		})
	}
}
