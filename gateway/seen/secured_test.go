package seen

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

// files are those of a client that the authority knows.
func files(a *rig.Authority) secure.Files {
	a.Issue("gateway")
	return secure.Files{Server: "REDIS", CA: a.File("ca"), Cert: a.File("gateway"), Key: a.File("gateway-key")}
}

// remembers waits until a mark can be made and found again. A handshake may take longer than one command has.
func remembers(t *testing.T, r *Redis, id string) {
	t.Helper()
	identity := id + "/0123456789abcdef"
	rig.Eventually(t, 20*time.Second, "a mark is found again", func() bool {
		found := make([]bool, 1)
		for _, s := range r.shards.Load().list {
			if _, err := r.probe(t.Context(), s); err != nil {
				return false
			}
			s.reset()
		}
		return r.learn(t.Context()) == nil && r.Mark(t.Context(), []Mark{{Identity: identity, Sequence: 1, Stored: time.Now()}}) == nil &&
			r.Lookup(t.Context(), []string{identity}, found) == nil && found[0]
	})
}

// With certificates on both sides, whichever way Redis is run.
func TestRedisIsReachedWithCertificates(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *rig.Authority) (url string){
		"single":   func(t *testing.T, a *rig.Authority) string { return tlsURL(rig.StartTLSRedis(t, a)) },
		"Cluster":  func(t *testing.T, a *rig.Authority) string { return tlsURL(clusterOfOne(t, a)) + "?cluster=true" },
		"Sentinel": func(t *testing.T, a *rig.Authority) string { return tlsURL(tlsSentinel(t, a)) + "?master_name=main" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := rig.NewAuthority(t)
			r, err := NewRedis(start(t, a), files(a), Small, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			remembers(t, r, name)
		})
	}
}

func tlsURL(r *rig.Redis) string { return "rediss://" + r.Address }

// clusterOfOne is a Cluster whose only node has all slots, which it is told without a client of Redis's own.
func clusterOfOne(t *testing.T, a *rig.Authority) *rig.Redis {
	t.Helper()
	_, bus, _ := strings.Cut(rig.Address(t), ":")
	node := rig.StartTLSRedis(t, a, "--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", bus, "--cluster-announce-ip", "127.0.0.1")
	r, err := NewRedis(tlsURL(node), files(a), Small, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rig.Eventually(t, 20*time.Second, "the node has all slots", func() bool {
		_ = r.client.Do(t.Context(), "cluster", "addslotsrange", "0", fmt.Sprint(slotCount-1)).Err() // fails once it has them
		state, err := r.client.Do(t.Context(), "cluster", "info").Text()
		return err == nil && strings.Contains(state, "cluster_state:ok")
	})
	return node
}

func tlsSentinel(t *testing.T, a *rig.Authority) *rig.Redis {
	t.Helper()
	master := rig.StartTLSRedis(t, a)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(file, []byte("sentinel monitor main 127.0.0.1 "+master.Port()+" 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return rig.StartTLSRedis(t, a, file, "--sentinel")
}

// What is wrong is said with the file, or with what to set.
func TestARedisThatCertificatesKeepAwaySaysWhy(t *testing.T) {
	t.Parallel()
	a, other := rig.NewAuthority(t), rig.NewAuthority(t)
	ours, theirs := files(a), files(other)
	server, plain := rig.StartTLSRedis(t, a), rig.StartRedis(t)
	a.Issue("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for name, c := range map[string]struct {
		url      string
		ca, ours *secure.Files
		cert     string
		want     []string
	}{
		"another authority": {tlsURL(server), &theirs, &ours, "", []string{"REDIS_CA=" + theirs.CA}},
		"no authority":      {tlsURL(server), &secure.Files{}, &ours, "", []string{"set REDIS_CA"}},
		"no certificate":    {tlsURL(server), &ours, &secure.Files{}, "", []string{"set REDIS_CERT and REDIS_KEY"}},
		"a stranger's":      {tlsURL(server), &ours, &theirs, "", []string{"REDIS_CERT=" + theirs.Cert, "does not take"}},
		"expired":           {tlsURL(server), &ours, &ours, "expired", []string{"REDIS_CERT=" + a.File("expired"), "has expired"}},
		"no TLS in the URL": {server.URL(), &secure.Files{}, &secure.Files{}, "", []string{"use rediss://"}},
		"no TLS there":      {tlsURL(plain), &ours, &ours, "", []string{"use redis://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := secure.Files{Server: "REDIS", CA: c.ca.CA, Cert: c.ours.Cert, Key: c.ours.Key}
			if c.cert != "" {
				f.Cert, f.Key = a.File(c.cert), a.File(c.cert+"-key")
			}
			var log rig.Buffer
			r, err := NewRedis(c.url, f, Small, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			said := ""
			rig.Eventually(t, 20*time.Second, "it says why", func() bool {
				if _, err := r.probe(t.Context(), r.shards.Load().list[0]); err != nil {
					r.shards.Load().list[0].trip(err)
				}
				said = r.State().Remedy()
				return strings.Contains(said, c.want[0])
			})
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s", said)
				}
			}
		})
	}
	if err := CheckURL(server.URL(), ours); err == nil || !strings.Contains(err.Error(), "use rediss://") {
		t.Error(err)
	}
}

// A certificate that is replaced, or an authority that is added, is used by the connections that follow.
func TestANewCertificateForRedisNeedsNoRestart(t *testing.T) {
	t.Parallel()
	a, next := rig.NewAuthority(t), rig.NewAuthority(t)
	ours := files(a)
	server := rig.StartTLSRedis(t, a)
	r, err := NewRedis(tlsURL(server), ours, Small, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	remembers(t, r, "before")

	next.Issue("redis")
	next.Issue("gateway")
	for _, name := range []string{"ca", "redis", "redis-key", "gateway", "gateway-key"} {
		text, err := os.ReadFile(next.File(name))
		if err != nil {
			t.Fatal(err)
		}
		rig.Replace(t, a.File(name), bytes.Clone(text))
	}
	server.Kill()
	server.Restart()
	remembers(t, r, "after")
}
