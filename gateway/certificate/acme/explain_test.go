package acme

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/mholt/acmez/v3/acme"
)

func TestWhatAServerSaysComesWithARemedy(t *testing.T) {
	t.Parallel()
	problem := func(kind, detail string) error {
		return fmt.Errorf("[hooks.test] Obtain: %w", acme.Problem{Type: acme.ProblemTypeNamespace + kind, Detail: detail})
	}
	for _, c := range []struct {
		err          error
		what, remedy string
	}{
		{problem("rateLimited", "too many"), "the ACME server says: too many (rateLimited)", "do not restart meanwhile"},
		{problem("dns", "NXDOMAIN"), "NXDOMAIN (dns)", "let the DNS records of hooks.test"},
		{problem("connection", "refused"), "refused (connection)", "ports 80 and 443"},
		{problem("caa", ""), "says: caa", "CAA record of hooks.test"},
		{problem("rejectedIdentifier", "no"), "no (rejectedIdentifier)", "correct SLUICE_TLS_ACME"},
		{problem("invalidContact", "no"), "no (invalidContact)", "SLUICE_TLS_ACME_CONTACT"},
		{problem("externalAccountRequired", "no"), "(externalAccountRequired)", "unset SLUICE_TLS_ACME_DIRECTORY"},
		{problem("serverInternal", "oops"), "oops (serverInternal)", "tried again by itself"},
		{acme.Problem{Detail: "several", Subproblems: []acme.Subproblem{{Problem: acme.Problem{Detail: "one"}, Identifier: acme.Identifier{Value: "a.test"}}}}, "several; a.test: one", ""},
		{&url.Error{Op: "Get", URL: "https://acme.test/dir", Err: errors.New("refused")}, "cannot reach the ACME server at https://acme.test/dir: refused", "on SIGHUP"},
		{errors.New("no space left on device"), "no space left on device", "tried again"},
	} {
		what, remedy := explain(c.err, "hooks.test", "https://acme.test/dir")
		if !strings.Contains(what, c.what) || !strings.Contains(remedy, c.remedy) {
			t.Errorf("%v: %q, %q", c.err, what, remedy)
		}
	}
}
