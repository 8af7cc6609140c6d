package signature

import (
	"strings"
	"sync"
	"testing"
)

// The digits were made with OpenSSL: printf '{"event":"a"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
const (
	secret  = "0123456789abcdef0123456789abcdef"
	example = `{"event":"a"}`
)

func TestSignatureIsWhatOpenSSLMakes(t *testing.T) {
	const want = "sha256=87d9e27f98a2c67c6ef23d2fccfd6606b61580278d0aefe8605d2b2145f00f93"
	if got := Sign(secret, []byte(example)); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	keys, err := New("another secret", secret)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(example)
	good := Sign(secret, body)
	for name, c := range map[string]struct {
		header string
		body   string
		which  int
		ok     bool
	}{
		"second secret":   {good, example, 1, true},
		"first secret":    {Sign("another secret", body), example, 0, true},
		"other body":      {good, example + " ", 0, false},
		"unknown secret":  {Sign("no secret of ours", body), example, 0, false},
		"missing":         {"", example, 0, false},
		"scheme alone":    {"sha256=", example, 0, false},
		"no scheme":       {strings.TrimPrefix(good, "sha256="), example, 0, false},
		"another scheme":  {"sha512=" + good[7:], example, 0, false},
		"upper case":      {"sha256=" + strings.ToUpper(good[7:]), example, 0, false},
		"too long":        {good + "0", example, 0, false},
		"space behind":    {good + " ", example, 0, false},
		"not hexadecimal": {"sha256=" + strings.Repeat("g", 64), example, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			which, ok := keys.Verify([]byte(c.header), []byte(c.body))
			if which != c.which || ok != c.ok {
				t.Errorf("Verify = %d, %v; want %d, %v", which, ok, c.which, c.ok)
			}
		})
	}
}

func TestVerifyIsSafeForConcurrentUse(t *testing.T) {
	keys, err := New(secret)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			body := []byte(strings.Repeat("x", worker))
			header := []byte(Sign(secret, body))
			for range 1000 {
				if _, ok := keys.Verify(header, body); !ok {
					t.Error("refused a good signature")
					return
				}
			}
		})
	}
	all.Wait()
}

func TestParse(t *testing.T) {
	for list, wrong := range map[string]string{
		secret: "", secret + ", " + secret + "\n": "",
		"": "empty", secret + ",": "empty", "short": "has 5 characters",
	} {
		_, err := Parse(list)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("Parse(%q): %v, want %q", list, err, wrong)
		}
	}
}

func FuzzVerify(f *testing.F) {
	keys, err := New(secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(Sign(secret, []byte(example))), []byte(example))
	f.Fuzz(func(t *testing.T, header, body []byte) {
		if _, ok := keys.Verify(header, body); ok != (string(header) == Sign(secret, body)) {
			t.Fatalf("Verify(%q, %q) = %v", header, body, ok)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	keys, err := New(secret)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 512))
	header := []byte(Sign(secret, body))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := keys.Verify(header, body); !ok {
			b.Fatal("refused")
		}
	}
}

func TestASecretIsNamedWithoutBeingShown(t *testing.T) {
	keys, err := New("the first secret", "the second secret")
	if err != nil {
		t.Fatal(err)
	}
	// printf %s "the first secret" | sha256sum
	if ids := keys.IDs(); len(ids) != 2 || ids[0] != "5c2f1ab8" || ids[1] == ids[0] || ids[1] != ID("the second secret") {
		t.Errorf("got %v", ids)
	}
}
