package ingest

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestOnlyWhatTrustedProxiesAddedIsBelieved(t *testing.T) {
	t.Parallel()
	p, err := ParseProxies("127.0.0.1, 10.0.0.0/8,unix,2001:db8::/32")
	if err != nil || !p.unix {
		t.Fatal(err)
	}
	for lines, want := range map[string]string{
		"":                                  "invalid IP",
		"203.0.113.9":                       "203.0.113.9",
		"1.1.1.1, 203.0.113.9":              "203.0.113.9",
		"203.0.113.9, 10.1.2.3":             "203.0.113.9",
		"1.1.1.1|203.0.113.9|10.1.2.3":      "203.0.113.9",
		"1.1.1.1,203.0.113.9:4711,10.1.2.3": "203.0.113.9",
		"[2001:db9::1]:80":                  "2001:db9::1",
		"2001:db9::1":                       "2001:db9::1",
		"::ffff:203.0.113.9":                "203.0.113.9",
		"10.1.2.3, 127.0.0.1":               "10.1.2.3",
		"1.1.1.1, unknown":                  "invalid IP",
		"1.1.1.1, ":                         "invalid IP",
		"203.0.113.9, , 10.1.2.3":           "invalid IP",
	} {
		if got := p.senderOf(bytes.Split([]byte(lines), []byte("|"))).String(); got != want {
			t.Errorf("%q: %s, want %s", lines, got, want)
		}
	}
	for _, list := range []string{"10.0.0.0/33", "proxy", "fe80::1%eth0", "10.0.0.0/8;10.1.0.0/8"} {
		if _, err := ParseProxies(list); err == nil || !strings.Contains(err.Error(), "10.0.0.0/8") {
			t.Errorf("%s: %v", list, err)
		}
	}
	if p, err := ParseProxies(""); err != nil || p.trust(p.senderOf([][]byte{[]byte("127.0.0.1")})) {
		t.Error("an empty list trusts somebody", err)
	}
}

const (
	first4 = introduces2 + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x09\x7f\x00\x00\x01\x9c\x40\x01\xbb"
	first6 = introduces2 + "\x21\x21\x00\x27" + "\x20\x01\x0d\xb9\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb9\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x9c\x40\x01\xbb" + "\x04\x00\x00" // with a TLV
)

func TestHeadersOfThePROXYProtocol(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"PROXY TCP4 203.0.113.9 10.0.0.1 40000 443\r\n":    "203.0.113.9:40000",
		"PROXY TCP6 2001:db9::1 2001:db9::2 40000 443\r\n": "[2001:db9::1]:40000",
		"PROXY UNKNOWN\r\n":                     "invalid AddrPort",
		"PROXY UNKNOWN ffff::1 ffff::1 1 1\r\n": "invalid AddrPort",
		first4:                                  "203.0.113.9:40000",
		first6:                                  "[2001:db9::1]:40000",
		introduces2 + "\x20\x00\x00\x00":        "invalid AddrPort", // a health check
		introduces2 + "\x20\x11\x00\x0c" + strings.Repeat("\x01", 12):    "invalid AddrPort",
		introduces2 + "\x21\x11\x00\x04" + strings.Repeat("\x01", 4):     errNoIntroduction.Error(),
		introduces2 + "\x21\x12\x00\x0c" + strings.Repeat("\x01", 12):    errNoIntroduction.Error(), // UDP
		introduces2 + "\x11\x11\x00\x0c" + strings.Repeat("\x01", 12):    errNoIntroduction.Error(), // no such version
		introduces2 + "\x21\x11\xff\xff" + strings.Repeat("\x01", 1<<16): errNoIntroduction.Error(), // too long
		"PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n":                errNoIntroduction.Error(),
		"PROXY TCP4 2001:db9::1 2001:db9::2 40000 443\r\n":               errNoIntroduction.Error(),
		"PROXY TCP4 203.0.113.9 10.0.0.1 40000\r\n":                      errNoIntroduction.Error(),
		"PROXY TCP4 203.0.113.9 10.0.0.1 40000 443\n":                    errNoIntroduction.Error(),
		"POST /webhook HTTP/1.1\r\n":                                     errNoIntroduction.Error(),
		"PROXY TCP4 203.0":                                               io.EOF.Error(),
		"":                                                               io.EOF.Error(),
	} {
		in := strings.NewReader(header + "POST")
		if want == io.EOF.Error() {
			in = strings.NewReader(header)
		}
		source, err := readIntroduction(in)
		got := source.String()
		if err != nil {
			got = err.Error()
		} else if rest, _ := io.ReadAll(in); string(rest) != "POST" {
			t.Errorf("%q: %q is left", header, rest)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// FuzzIntroduction reads anything within its bounds, and never past the header that it takes.
func FuzzIntroduction(f *testing.F) {
	for _, seed := range []string{first4, first6, "PROXY TCP4 203.0.113.9 10.0.0.1 40000 443\r\n", "PROXY UNKNOWN\r\n", introduces2 + "\x20\x00\x00\x00", "PROXY ", "POST /webhook HTTP/1.1\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := bytes.NewReader(sent)
		source, err := readIntroduction(in)
		read := len(sent) - in.Len()
		if read > len(introduces2)+4+maxIntroduction2 {
			t.Errorf("%d bytes were read", read)
		}
		if again, err2 := readIntroduction(bytes.NewReader(sent[:read])); err == nil && (err2 != nil || again != source) {
			t.Errorf("%q alone is %s (%v), and was %s", sent[:read], again, err2, source)
		}
		if err != nil && source.IsValid() {
			t.Errorf("%q is wrong (%v), and comes from %s", sent, err, source)
		}
	})
}
