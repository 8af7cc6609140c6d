package verify

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/pkg/signature"
)

const secret = "0123456789abcdefghijABCDEFGHIJ01"

var now = time.Unix(1_764_000_000, 0)

// request is a good one, which c changes.
func request(c func(h map[string]string, body *string)) Request {
	body := `{"event":"pbx.call.hangup"}`
	h := map[string]string{
		"X-Zorio-Event": "pbx.call.hangup", "X-Zorio-Timestamp": strconv.FormatInt(now.Unix()-3, 10), "X-Zorio-Delivery": "id-1",
		"X-Zorio-Signature": signature.Sign(secret, []byte(body)),
	}
	c(h, &body)
	var text strings.Builder
	text.WriteString("POST /webhook HTTP/1.1\r\n")
	for name, value := range h {
		text.WriteString("> " + strings.ToLower(name) + ": " + value + "\r\n")
	}
	return Request{ParseHeaders([]byte(text.String())), []byte(body)}
}

func TestExplain(t *testing.T) {
	digits := strings.TrimPrefix(signature.Sign(secret, []byte(`{"event":"pbx.call.hangup"}`)), "sha256=")
	for want, change := range map[string]func(h map[string]string, body *string){
		"signature ok sha256=" + digits[:8] + "… is made with secret 2 of 2": func(map[string]string, *string) {},
		"timestamp ok sent at 2025-11-24T15:59:57Z, 3 s ago":                 func(map[string]string, *string) {},
		"event ok pbx.call.hangup":                                           func(map[string]string, *string) {},
		"timestamp fail X-Zorio-Timestamp is missing":                        func(h map[string]string, _ *string) { delete(h, "X-Zorio-Timestamp") },
		"these are milliseconds":                                             func(h map[string]string, _ *string) { h["X-Zorio-Timestamp"] += "000" },
		"301 s in the future":                                                func(h map[string]string, _ *string) { h["X-Zorio-Timestamp"] = strconv.FormatInt(now.Unix()+301, 10) },
		`timestamp fail X-Zorio-Timestamp is "soon"`:                         func(h map[string]string, _ *string) { h["X-Zorio-Timestamp"] = "soon" },
		"the header is missing":                                              func(h map[string]string, _ *string) { delete(h, "X-Zorio-Signature") },
		"the digits have to be lowercase":                                    func(h map[string]string, _ *string) { h["X-Zorio-Signature"] = "sha256=" + strings.ToUpper(digits) },
		"has to begin with sha256=":                                          func(h map[string]string, _ *string) { h["X-Zorio-Signature"] = digits },
		"only the scheme sha256=":                                            func(h map[string]string, _ *string) { h["X-Zorio-Signature"] = "sha1=" + digits[:40] },
		"see whether it was cut":                                             func(h map[string]string, _ *string) { h["X-Zorio-Signature"] = "sha256=" + digits[:60] },
		"without its last line end, with secret 2 of 2":                      func(_ map[string]string, body *string) { *body += "\n" },
		"without a byte order mark":                                          func(_ map[string]string, body *string) { *body = "\xef\xbb\xbf" + *body },
		"signature fail secret 1 of 2 (23 characters) expects sha256=":       func(_ map[string]string, body *string) { *body = "{}" },
		"another secret, or another body":                                    func(_ map[string]string, body *string) { *body = "{}" },
		`the body has no "event"`:                                            func(_ map[string]string, body *string) { *body = "{}" },
		"27 bytes are signed, sha256 ":                                       func(map[string]string, *string) {},
		"delivery warn":                                                      func(h map[string]string, _ *string) { delete(h, "X-Zorio-Delivery") },
		`"pbx.call.ringing" in X-Zorio-Event`:                                func(h map[string]string, _ *string) { h["X-Zorio-Event"] = "pbx.call.ringing" },
	} {
		all, err := Explain(request(change), []string{"the one that is too old", secret}, now)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, f := range all {
			text.WriteString(f.Check + " " + string(f.Level) + " " + f.Detail + " " + f.Remedy + "\n")
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
		if strings.Contains(text.String(), secret) || strings.Contains(text.String(), digits) {
			t.Errorf("it gives away what nobody should see:\n%s", text.String())
		}
	}
}

// What is kept of a refused request has a masked signature, which is as good.
func TestAMaskedSignatureIsCompared(t *testing.T) {
	for body, want := range map[string]finding.Level{`{"event":"pbx.call.hangup"}`: finding.OK, `{"event":"pbx.call.ringing"}`: finding.Fail} {
		r := request(func(h map[string]string, b *string) {
			h["X-Zorio-Signature"] = mask.Signature(h["X-Zorio-Signature"])
			*b = body
		})
		all, err := Explain(r, []string{secret}, now)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(f finding.Finding) bool { return f.Check == "signature" })
		if all[i].Level != want || strings.Contains(all[i].Detail, "*") {
			t.Errorf("%s: %+v", body, all[i])
		}
	}
}

func TestARepeatedHeaderIsFound(t *testing.T) {
	all, err := Explain(Request{Headers: ParseHeaders([]byte("X-Zorio-Delivery: a\nx-zorio-delivery: b\n"))}, []string{secret}, now)
	if err != nil || all[0].Level != finding.Fail || !strings.Contains(all[0].Detail, "comes 2 times") {
		t.Errorf("%+v %v", all, err)
	}
}

func FuzzParseHeaders(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nX: y\r\n\r\n: z\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for name := range ParseHeaders(text) {
			if name == "" || strings.ContainsAny(name, " \t\n:") {
				t.Fatalf("%q is no name", name)
			}
		}
	})
}
