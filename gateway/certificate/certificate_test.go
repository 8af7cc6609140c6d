package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

const day = 24 * time.Hour

// lives is a certificate that began and ends so long after a moment.
func lives(now time.Time, begins, ends time.Duration) *x509.Certificate {
	return &x509.Certificate{NotBefore: now.Add(begins), NotAfter: now.Add(ends), DNSNames: []string{"hooks.test"}}
}

// What is wrong is said in the order of what hurts most.
func TestHealth(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	away := &Problem{What: "cannot reach the server", Remedy: "let it be reached", Since: now.Add(-time.Hour)}
	public := lives(now, -day, 60*day)
	public.IssuingCertificateURL, public.RawIssuer, public.Issuer = []string{"http://ca.test/r3.crt"}, []byte("R3"), pkix.Name{CommonName: "R3"}
	for name, c := range map[string]struct {
		state          State
		status         telemetry.Status
		detail, remedy string
	}{
		"a file":                      {State{Leaf: lives(now, -day, 60*day)}, telemetry.OK, "valid until 2027-01-24 12:00 UTC (60 days)", ""},
		"renewed by itself":           {State{Leaf: lives(now, -day, 60*day), Itself: true}, telemetry.OK, "(60 days), renewed by itself", ""},
		"a file, a week left":         {State{Leaf: lives(now, -80*day, 6*day)}, telemetry.Degraded, "valid until 2026-12-01 12:00 UTC (6 days)", "put a new one into the files"},
		"a short life, enough left":   {State{Leaf: lives(now, -2*day, 4*day)}, telemetry.OK, "(4 days)", ""},
		"a short life, little left":   {State{Leaf: lives(now, -5*day, day)}, telemetry.Degraded, "(24 hours)", "put a new one"},
		"ACME, a week left":           {State{Leaf: lives(now, -80*day, 6*day), Itself: true}, telemetry.OK, "(6 days), renewed by itself", ""},
		"ACME, renewal fails":         {State{Leaf: lives(now, -60*day, 30*day), Itself: true, Wrong: away}, telemetry.Degraded, "(30 days), and no other takes its place: cannot reach the server", "let it be reached"},
		"ACME, none, being issued":    {State{Itself: true}, telemetry.Degraded, "there is none yet: handshakes fail", "wait"},
		"ACME, none, and why":         {State{Itself: true, Wrong: away}, telemetry.Degraded, "there is none: handshakes fail: cannot reach the server", "let it be reached"},
		"expired":                     {State{Leaf: lives(now, -90*day, -day)}, telemetry.Degraded, "expired 2026-11-24 12:00 UTC, and this machine's clock says 2026-11-25 12:00 UTC", "correct the clock (timedatectl) if it is wrong, or put a new one"},
		"expired, renewal fails":      {State{Leaf: lives(now, -90*day, -day), Itself: true, Wrong: away}, telemetry.Degraded, "senders refuse it; cannot reach the server", "let it be reached"},
		"expired, being renewed":      {State{Leaf: lives(now, -90*day, -day), Itself: true}, telemetry.Degraded, "expired", "the gateway is renewing it"},
		"not yet valid":               {State{Leaf: lives(now, day, 90*day), Itself: true}, telemetry.Degraded, "not valid before 2026-11-26 12:00 UTC, and this machine's clock says", "correct the clock"},
		"without its chain":           {State{Leaf: public, Chain: 1}, telemetry.Degraded, "without the intermediate certificates of R3", "fullchain.pem"},
		"with its chain":              {State{Leaf: public, Chain: 2}, telemetry.OK, "(60 days)", ""},
		"the new files are not right": {State{Leaf: lives(now, -day, 60*day), Wrong: away}, telemetry.Degraded, "and no other takes its place", "let it be reached"},
	} {
		c.state.Name = "hooks.test"
		h := Health([]State{c.state}, now)
		if h.Status != c.status || !strings.Contains(h.Detail, c.detail) || !strings.HasPrefix(h.Detail, "hooks.test: ") || !strings.Contains(h.Remedy, c.remedy) || (h.Remedy == "") != (c.status == telemetry.OK) {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := Health([]State{{Name: "a.test", Leaf: lives(now, -day, 60*day)}, {Name: "b.test", Wrong: away}}, now); h.Status != telemetry.Degraded || !strings.HasPrefix(h.Detail, "a.test: valid until") || !strings.Contains(h.Detail, "; b.test: there is none") || !h.Since.Equal(away.Since) {
		t.Errorf("of two: %+v", h)
	}
}
