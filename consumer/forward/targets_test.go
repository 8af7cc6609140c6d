package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/worker"
)

const full = `
targets:
  - name: crm
    url: https://crm.internal/webhook
    secret_env: FORWARD_TEST_SECRET
    events: [pbx.cdr.created, telesales.>]
    concurrency: 8
    timeout: 10s
    attempts: 5
    allow_private: false
  - name: audit
    url: http://10.0.0.7:8080/
    secret: "12345678"
    events: pbx.>
    proxy: http://proxy.internal:3128
`

func TestTargetsAreReadAsTheyAreWritten(t *testing.T) {
	t.Setenv("FORWARD_TEST_SECRET", "from the environment")
	targets, err := parseTargets("targets.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := []target{
		{Name: "crm", URL: "https://crm.internal/webhook", Secret: "from the environment", Events: []string{"pbx.cdr.created", "telesales.>"}, Concurrency: 8, Timeout: 10 * time.Second, Attempts: 5},
		{Name: "audit", URL: "http://10.0.0.7:8080/", Secret: "12345678", Events: []string{"pbx.>"}, Timeout: 5 * time.Second, AllowPrivate: true, Proxy: "http://proxy.internal:3128"},
	}
	for i := range want {
		if !targets[i].equal(&want[i]) {
			t.Errorf("got  %+v\nwant %+v", targets[i], want[i])
		}
	}
	defaults := worker.Settings{Concurrency: 16, Attempts: 16}
	if s := targets[0].settings(defaults); s.Concurrency != 8 || s.Attempts != 5 {
		t.Errorf("got %+v", s)
	}
	if s := targets[1].settings(defaults); s.Concurrency != 16 || s.Attempts != 16 {
		t.Errorf("got %+v", s)
	}
}

func TestTheExampleInTheREADMEIsRight(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of a partner\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CRM_WEBHOOK_SECRET", "a secret of the CRM")
	targets, err := parseTargets("README.md", []byte(strings.Replace(example, "/run/secrets/partner", secret, 1)))
	if err != nil || len(targets) != 2 || targets[0].Concurrency != 8 || targets[1].AllowPrivate {
		t.Errorf("%v, %+v", err, targets)
	}
}

func TestEveryMistakeInTheFileIsNamedWithItsLine(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const head = "targets:\n  - name: crm\n    url: http://h/\n    secret: hunter2hunter2\n"
	for text, want := range map[string]string{
		"":                                 "targets.yaml is empty: list receivers",
		"targets: []":                      "targets.yaml:1: no targets: list receivers",
		"targets:\n  - name: x\n   url: y": "targets.yaml:3: ",
		"target: []":                       "targets.yaml:1: there is no key target: use targets",
		"- name: x":                        "targets.yaml:1: this is no mapping: use lines such as targets: …",
		"targets: [x]":                     "targets.yaml:1: target 1: this is no mapping: use lines such as name: …",
		"targets: [{name: a}]":             `targets.yaml:1: target "a": url is missing`,
		"targets: [{url: 'http://h', secret: 12345678}]":                               "targets.yaml:1: target 1: name is missing",
		"targets: [{name: a b, url: 'http://h', secret: 12345678}]":                    `targets.yaml:1: target "a b": name "a b": use letters`,
		"targets:\n- name: crm\n  url: crm.internal/x?key=hunter2\n  secret: 12345678": `targets.yaml:3: target "crm": url crm.internal/x: use http:// or https://`,
		"targets: [{name: a, url: 'ftp://u:hunter2@h', secret: 12345678}]":             `url ftp://xxxxx@h: use http://`,
		"targets: [{name: a, url: 'http://u:hunter2@h:x', secret: 12345678}]":          `url that cannot be understood: use http://`,
		"targets:\n- name: a\n  url: http://h":                                         `targets.yaml:2: target "a": a secret is needed, once`,
		head + "    secret_env: X":                                                     `targets.yaml:2: target "crm": a secret is needed, once`,
		"targets: [{name: a, url: 'http://h', secret: hunter2}]":                       "the secret has 7 characters, at least 8 are needed",
		"targets: [{name: a, url: 'http://h', secret: ''}]":                            "secret is empty",
		"targets: [{name: a, url: 'http://h', secret_env: NOT_SET}]":                   "secret_env NOT_SET: this variable is not set",
		"targets: [{name: a, url: 'http://h', secret_file: /no/such}]":                 "secret_file: open /no/such",
		"targets: [{name: a, url: 'http://h', secret_file: " + empty + "}]":            "is empty",
		head + "    timout: 3s":                                                        `targets.yaml:5: target "crm": there is no key timout: use name, url,`,
		head + "    url: http://other/":                                                `targets.yaml:5: target "crm": url is there twice`,
		head + "    events: []":                                                        `targets.yaml:5: target "crm": events: use a list`,
		head + "    events:\n    - pbx.>\n    - a b":                                   `targets.yaml:7: target "crm": events "a b": use names`,
		head + "    events: [pbx.>, pbx.call.*]":                                       `targets.yaml:5: target "crm": events "pbx.>" and "pbx.call.*" match some of the same`,
		head + "    concurrency: 0":                                                    `concurrency "0": use a whole number, from 1 to 1024`,
		head + "    attempts: many":                                                    `attempts "many": use a whole number, from 1 to 1000`,
		head + "    timeout: 5":                                                        `timeout "5": use a duration such as 5s, from 100ms to 15m`,
		head + "    allow_private: no":                                                 `allow_private "no": use true or false`,
		head + "    proxy: proxy:3128":                                                 `proxy proxy:3128: use http:// or https:// or socks5://`,
		head + "    proxy: http://p\n    allow_private: false":                         `targets.yaml:5: target "crm": proxy and allow_private: false exclude each other`,
		head + "  - name: crm\n    url: http://h/\n    secret: hunter2hunter2":         `targets.yaml:5: target "crm": name: line 2 has it already`,
	} {
		_, err := parseTargets("targets.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s tells a secret: %v", text, err)
		}
	}
	_, err := parseTargets("targets.yaml", []byte(head+"    attempts: 0\n    timeout: 0s"))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes, got %v", err)
	}
}

func TestPatternsThatMatchTheSameOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"pbx.>", "pbx.call.hangup", true}, {">", "a", true}, {"pbx.*.hangup", "pbx.call.*", true}, {"a.b", "a.b", true},
		{"pbx.>", "pbx", false}, {"pbx.>", "autocall.>", false}, {"a.*", "a.b.c", false}, {"a.b", "a.c", false},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("overlap(%q, %q) is not %t", c.a, c.b, c.want)
		}
	}
}
