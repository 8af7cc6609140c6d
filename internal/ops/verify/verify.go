package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Tolerance is how far a timestamp may be from now, as the sender's contract says.
const Tolerance = 300 * time.Second

// shown is how many digits of a signature are printed: enough to compare, and of no use to forge.
const shown = 8

// Request is a webhook as it was captured.
type Request struct {
	Headers Headers
	Body    []byte
}

// Explain looks at everything that the gateway looks at. The secrets are those of ZORIO_WEBHOOK_SECRET, in its order.
// No secret and no whole signature that is expected stands in what it returns.
func Explain(r Request, secrets []string, now time.Time) (all finding.List, err error) {
	if len(secrets) == 0 {
		return nil, errors.New("no secret to verify with")
	}
	return r.explain(now, func() { r.signature(&all, secrets) }, &all), nil
}

// Form is [Explain] for who knows no secret: of the signature only the form is looked at.
func Form(r Request, now time.Time) (all finding.List) {
	return r.explain(now, func() {
		given := r.Headers.first(zorio.HeaderSignature)
		if remedy := malformed(given); remedy != "" {
			all.Fail("signature", fmt.Sprintf("%s is %q", zorio.HeaderSignature, cut(given)), remedy)
			return
		}
		all.OK("signature", cut(given)+"… has the form of one")
	}, &all)
}

func (r *Request) explain(now time.Time, signature func(), all *finding.List) finding.List {
	r.repeated(all)
	r.timestamp(all, now)
	r.signed(all)
	signature()
	r.delivery(all)
	r.name(all)
	return *all
}

// repeated looks for headers that two readers could understand differently.
func (r *Request) repeated(all *finding.List) {
	for _, name := range []string{zorio.HeaderEvent, zorio.HeaderTimestamp, zorio.HeaderDelivery, zorio.HeaderSignature} {
		if n := len(r.Headers[name]); n > 1 {
			all.Fail("headers", fmt.Sprintf("%s comes %d times", name, n), "the gateway answers 400: find the proxy that adds it")
		}
	}
}

func (r *Request) timestamp(all *finding.List, now time.Time) {
	text := r.Headers.first(zorio.HeaderTimestamp)
	seconds, err := strconv.ParseInt(text, 10, 64)
	switch {
	case text == "":
		all.Fail("timestamp", zorio.HeaderTimestamp+" is missing", "see whether a proxy removes it")
		return
	case err != nil || seconds <= 0:
		all.Fail("timestamp", fmt.Sprintf("%s is %q", zorio.HeaderTimestamp, text), "it has to be seconds since 1970, in digits")
		return
	case seconds > 1e11:
		all.Fail("timestamp", fmt.Sprintf("%s is %q", zorio.HeaderTimestamp, text), "these are milliseconds: it has to be seconds")
		return
	}
	sent := time.Unix(seconds, 0).UTC()
	detail := fmt.Sprintf("sent at %s, %s", sent.Format(time.RFC3339), skew(now.Sub(sent)))
	if now.Sub(sent).Abs() > Tolerance {
		all.Fail("timestamp", detail, fmt.Sprintf("more than %d s from now: where the request was captured just now, set the clock right; else verify as of then with --at", int(Tolerance.Seconds())))
		return
	}
	all.OK("timestamp", detail)
}

func skew(age time.Duration) string {
	if age < 0 {
		return fmt.Sprintf("%d s in the future", int(-age.Seconds()))
	}
	return fmt.Sprintf("%d s ago", int(age.Seconds()))
}

// signed says which bytes the signature is of.
func (r *Request) signed(all *finding.List) {
	sum := sha256.Sum256(r.Body)
	all.OK("body", fmt.Sprintf("%d bytes are signed, sha256 %s; the headers are not", len(r.Body), hex.EncodeToString(sum[:])))
}

// wellFormed is a signature, whole or masked: see [mask.Signature].
var wellFormed = regexp.MustCompile(`^sha256=([0-9a-f]{64}|[0-9a-f]{16}\*{48})$`)

// isOf reports whether a well-formed signature is that of a body. Of a masked one the digits that are left count.
func isOf(given, secret string, body []byte) bool {
	return strings.HasPrefix(signature.Sign(secret, body), strings.TrimRight(given, "*"))
}

func (r *Request) signature(all *finding.List, secrets []string) {
	given := r.Headers.first(zorio.HeaderSignature)
	if remedy := malformed(given); remedy != "" {
		all.Fail("signature", fmt.Sprintf("%s is %q", zorio.HeaderSignature, cut(given)), remedy)
		given = "sha256=" + strings.TrimPrefix(strings.ToLower(given), "sha256=")
		if !wellFormed.MatchString(given) {
			return
		}
	}
	for i, secret := range secrets {
		if isOf(given, secret, r.Body) {
			all.OK("signature", fmt.Sprintf("%s… is made with secret %d of %d (%d characters)", cut(given), i+1, len(secrets), len(secret)))
			return
		}
	}
	r.unmatched(all, secrets, given)
}

// malformed says what is wrong with the form of a signature header; "" for nothing.
func malformed(given string) string {
	lower := strings.ToLower(given)
	switch {
	case given == "":
		return "the header is missing: see whether a proxy removes it"
	case wellFormed.MatchString(given):
		return ""
	case wellFormed.MatchString(lower):
		return "the digits have to be lowercase"
	case wellFormed.MatchString("sha256=" + lower):
		return "it has to begin with sha256="
	case !strings.HasPrefix(lower, "sha256="):
		return "only the scheme sha256= is taken"
	}
	return "it has to be sha256= and 64 hexadecimal digits: see whether it was cut, or is base64"
}

// unmatched says what was expected, and looks for the usual changes of a body on its way into a file.
func (r *Request) unmatched(all *finding.List, secrets []string, given string) {
	for name, body := range r.variants() {
		for i, secret := range secrets {
			if isOf(given, secret, body) {
				all.Fail("signature", fmt.Sprintf("it signs the body %s, with secret %d of %d", name, i+1, len(secrets)),
					"the body was changed on its way: keep the raw bytes (curl --data-binary, not -d; no editor, no parsing and printing)")
				return
			}
		}
	}
	for i, secret := range secrets {
		all.Fail("signature", fmt.Sprintf("secret %d of %d (%d characters) expects %s…, given is %s…", i+1, len(secrets), len(secret), cut(signature.Sign(secret, r.Body)), cut(given)),
			"another secret, or another body: compare the secret with the sender's console, and the body byte for byte")
	}
}

// variants are what the body may have been.
func (r *Request) variants() map[string][]byte {
	all := map[string][]byte{
		"without its last line end": bytes.TrimSuffix(bytes.TrimSuffix(r.Body, []byte("\n")), []byte("\r")),
		"with a line end after it":  append(bytes.Clone(r.Body), '\n'),
		"with LF for CRLF":          bytes.ReplaceAll(r.Body, []byte("\r\n"), []byte("\n")),
		"with CRLF for LF":          bytes.ReplaceAll(bytes.ReplaceAll(r.Body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")),
		"without a byte order mark": bytes.TrimPrefix(r.Body, []byte("\xef\xbb\xbf")),
	}
	for name, body := range all {
		if bytes.Equal(body, r.Body) {
			delete(all, name)
		}
	}
	return all
}

func (r *Request) delivery(all *finding.List) {
	if id := r.Headers.first(zorio.HeaderDelivery); id != "" {
		all.OK("delivery", id)
		return
	}
	all.Warn("delivery", zorio.HeaderDelivery+" is missing", "the gateway derives an id from the signature")
}

func (r *Request) name(all *finding.List) {
	name, err := zorio.EventName(r.Body)
	header := r.Headers.first(zorio.HeaderEvent)
	switch {
	case err != nil:
		all.Warn("event", err.Error(), "it goes to quarantine: sluicectl quarantine list")
	case header != name:
		all.Warn("event", fmt.Sprintf("%s in the body, which is signed, and %q in %s", name, header, zorio.HeaderEvent), "the body's name counts")
	default:
		all.OK("event", name)
	}
}

// cut shortens a signature to what may be shown.
func cut(s string) string { return s[:min(len(s), len("sha256=")+shown)] }
