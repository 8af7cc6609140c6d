package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/mholt/acmez/v3/acme"
)

// explain says in one line why a certificate was not issued, and what to do.
func explain(err error, name, server string) (what, remedy string) {
	var said acme.Problem
	if errors.As(err, &said) {
		return "the ACME server says: " + detail(said), remedyOf(said.Type, name)
	}
	var unknown x509.UnknownAuthorityError
	var wrong x509.CertificateInvalidError
	var request *url.Error
	switch {
	case errors.As(err, &unknown):
		return "the ACME server's own certificate is signed by an unknown authority", "name the file of that authority's certificate in SLUICE_TLS_ACME_CA"
	case errors.As(err, &wrong) && wrong.Reason == x509.Expired:
		return "the ACME server's own certificate is out of its time: " + wrong.Detail, "correct this machine's clock (timedatectl)"
	case errors.As(err, &request):
		return fmt.Sprintf("cannot reach the ACME server at %s: %v", server, request.Err), "let this machine reach it, or correct SLUICE_TLS_ACME_DIRECTORY; it is tried again by itself, and at once on SIGHUP"
	}
	return err.Error(), "see the error; it is tried again by itself, and at once on SIGHUP"
}

// detail is what a server says, with what it says of single names.
func detail(said acme.Problem) string {
	text := said.Detail
	for _, one := range said.Subproblems {
		text += "; " + one.Identifier.Value + ": " + one.Detail
	}
	kind := strings.TrimPrefix(said.Type, acme.ProblemTypeNamespace)
	if text == "" {
		return kind
	}
	return text + " (" + kind + ")"
}

// remedyOf is what to do about a kind of error, RFC 8555 section 6.7.
func remedyOf(kind, name string) string {
	switch kind {
	case acme.ProblemTypeRateLimited:
		return "wait: it is tried again by itself, and each attempt counts; do not restart meanwhile. To try things out, set SLUICE_TLS_ACME_DIRECTORY to the server's staging directory"
	case acme.ProblemTypeDNS, acme.ProblemTypeConnection, acme.ProblemTypeUnauthorized, acme.ProblemTypeTLS, acme.ProblemTypeIncorrectResponse:
		return "let the DNS records of " + name + " (A, AAAA) lead here, and ports 80 and 443 through the firewall: the server looks there whose name it is"
	case acme.ProblemTypeCAA:
		return "let the CAA record of " + name + " allow this authority, or remove it"
	case acme.ProblemTypeRejectedIdentifier, acme.ProblemTypeUnsupportedIdentifier, acme.ProblemTypeMalformed:
		return "correct SLUICE_TLS_ACME: the server issues nothing for " + name
	case acme.ProblemTypeInvalidContact, acme.ProblemTypeUnsupportedContact:
		return "correct SLUICE_TLS_ACME_CONTACT, or unset it"
	case acme.ProblemTypeExternalAccountRequired, acme.ProblemTypeUserActionRequired:
		return "use a server that takes anyone's account, such as Let's Encrypt: unset SLUICE_TLS_ACME_DIRECTORY"
	}
	return "see the error; it is tried again by itself, and at once on SIGHUP"
}
