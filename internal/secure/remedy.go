package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"
)

// schemes are those of addresses with TLS and without.
var schemes = map[string][2]string{"NATS": {"tls://", "nats://"}, "REDIS": {"rediss://", "redis://"}}

// remedy says what to do about a connection that TLS prevents; empty for any other error.
func (f Files) remedy(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	scheme := schemes[f.Server]
	switch {
	case errors.As(err, &name):
		return "use a name in " + f.Server + "_URL that the server's certificate is for, or issue it a certificate for this one"
	case errors.As(err, &authority) && f.CA == "":
		return "set " + f.Server + "_CA to the certificate of the authority that signed the server's"
	case errors.As(err, &authority):
		return "no authority in " + f.named("CA", f.CA) + " signed the server's certificate: put the one that did into that file"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or set the clock of this machine"
	case errors.As(err, &invalid):
		return "the server's certificate is none for a server: issue it another one"
	case errors.As(err, &record):
		return "this port has no TLS: use " + scheme[1] + " instead of " + scheme[0] + ", or name the port that has it"
	}
	return f.refused(err)
}

// refused says what to do where the server ends the handshake.
func (f Files) refused(err error) string {
	var wire *net.OpError
	switch {
	case !errors.As(err, &wire) || wire.Op != "remote error":
		return ""
	case strings.Contains(err.Error(), "protocol version"), strings.Contains(err.Error(), "handshake failure") && f.Cert != "":
		return "the server has no TLS version or cipher in common with this client, which speaks TLS 1.2 and 1.3"
	}
	return f.Refused()
}

// Refused says what to do where a server ends the connection because of the certificate that is shown to it, or is not.
func (f Files) Refused() string {
	switch {
	case f.Cert == "":
		return "the server wants a certificate of its clients: set " + f.Server + "_CERT and " + f.Server + "_KEY"
	case f.isExpired():
		return "the certificate in " + f.named("CERT", f.Cert) + " has expired: renew it; the file is read again for the next connection"
	}
	return "the server does not take the certificate in " + f.named("CERT", f.Cert) + ": let an authority sign it that the server trusts, for the use by clients"
}

func (f Files) isExpired() bool {
	shown, err := f.Certificate()
	return err == nil && shown.Leaf != nil && time.Now().After(shown.Leaf.NotAfter)
}
