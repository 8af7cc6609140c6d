package main

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
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
    events: [&calls pbx.call.*, pbx.cdr.created]
    proxy: http://proxy.internal:3128
  - name: again
    url: http://10.0.0.8/
    secret: "12345678"
    events: [*calls]
`

func TestTargetsAreReadAsTheyAreWritten(t *testing.T) {
	t.Setenv("FORWARD_TEST_SECRET", "from the environment")
	targets, warnings, err := parseTargets("targets.yaml", []byte(full))
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	want := []target{
		{Name: "crm", URL: "https://crm.internal/webhook", Secret: "from the environment", Events: []string{"pbx.cdr.created", "telesales.>"}, Concurrency: 8, Timeout: 10 * time.Second, Attempts: 5},
		{Name: "audit", URL: "http://10.0.0.7:8080/", Secret: "12345678", Events: []string{"pbx.call.*", "pbx.cdr.created"}, Timeout: 5 * time.Second, AllowPrivate: true, Proxy: "http://proxy.internal:3128"},
		{Name: "again", URL: "http://10.0.0.8/", Secret: "12345678", Events: []string{"pbx.call.*"}, Timeout: 5 * time.Second, AllowPrivate: true},
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

func TestTheExampleInTheDocsIsRight(t *testing.T) {
	_, example, _ := strings.Cut(rig.Pages(t)["docs/forward.md"], "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of a partner\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CRM_WEBHOOK_SECRET", "a secret of the CRM")
	targets, warnings, err := parseTargets("forward.md", []byte(strings.Replace(example, "/run/secrets/partner", secret, 1)))
	if err != nil || len(warnings) != 0 || len(targets) != 2 || targets[0].Concurrency != 8 || targets[1].AllowPrivate {
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
		"targets: [{url: 'http://h', secret: 12345678}]":                                              "targets.yaml:1: target 1: name is missing",
		"targets: [{name: a b, url: 'http://h', secret: 12345678}]":                                   `targets.yaml:1: target "a b": name "a b": use letters`,
		"targets:\n- name: crm\n  url: crm.internal/x?key=hunter2\n  secret: 12345678":                `targets.yaml:3: target "crm": url crm.internal/x?key=xxxxx: use http:// or https://`,
		"targets: [{name: a, url: 'ftp://u:hunter2@h', secret: 12345678}]":                            `url ftp://xxxxx@h: use http://`,
		"targets: [{name: a, url: 'http://u:hunter2@h:x', secret: 12345678}]":                         `url http://xxxxx: use http://`,
		"targets:\n- name: a\n  url: http://h":                                                        `targets.yaml:2: target "a": a secret is needed, once`,
		head + "    secret_env: X":                                                                    `targets.yaml:2: target "crm": a secret is needed, once`,
		"targets: [{name: a, url: 'http://h', secret: hunter2}]":                                      "the secret has 7 characters, at least 8 are needed",
		"targets: [{name: a, url: 'http://h', secret: ''}]":                                           "secret is empty",
		"targets: [{name: a, url: 'http://h', secret_env: NOT_SET}]":                                  "secret_env NOT_SET: this variable is not set",
		"targets: [{name: a, url: 'http://h', secret_file: /no/such}]":                                "secret_file: open /no/such",
		"targets: [{name: a, url: 'http://h', secret_file: " + empty + "}]":                           "is empty",
		head + "    timout: 3s":                                                                       `targets.yaml:5: target "crm": there is no key timout: use name, url,`,
		head + "    url: http://other/":                                                               `targets.yaml:5: target "crm": url is there twice`,
		head + "    events: []":                                                                       `targets.yaml:5: target "crm": events: use a list`,
		head + "    events:\n    - pbx.>\n    - a b":                                                  `targets.yaml:7: target "crm": events "a b": use names`,
		head + "    events: [pbx.>, pbx.call.*]":                                                      `targets.yaml:5: target "crm": events "pbx.>" and "pbx.call.*" match some of the same`,
		head + "    concurrency: 0":                                                                   `concurrency "0": use a whole number, from 1 to 1024`,
		head + "    attempts: many":                                                                   `attempts "many": use a whole number, from 1 to 1000`,
		head + "    timeout: 5":                                                                       `timeout "5": use a duration such as 5s, from 100ms to 15m`,
		head + "    allow_private: no":                                                                `allow_private "no": use true or false`,
		head + "    proxy: proxy:3128":                                                                `proxy proxy:3128: use http:// or https:// or socks5://`,
		head + "    proxy: http://p\n    allow_private: false":                                        `targets.yaml:5: target "crm": proxy and allow_private: false exclude each other`,
		head + "  - name: crm\n    url: http://h/\n    secret: hunter2hunter2":                        `targets.yaml:5: target "crm": name: line 2 has it already`,
		"targets:\n\t- name: x":                                                                       "targets.yaml:2: found character that cannot start any token: a tab indents this line, and YAML takes spaces only",
		"targets:\n  - name: x\n\turl: y":                                                             "targets.yaml:3: found a tab character that violates indentation: a tab indents this line",
		head + "---\ntargets:\n  - name: more":                                                        "targets.yaml:5: a second document: list all receivers under the one targets: of the first",
		head + "...\n---\n":                                                                           "targets.yaml:6: a second document",
		head + "---\ntargets: [":                                                                      "targets.yaml:7: ",
		"\xff":                                                                                        "targets.yaml:1: ",
		"targets:\n- name: a\n  url: http://10.0.0.7/\n  secret: 12345678\n  allow_private: false":    `targets.yaml:3: target "a": url http://10.0.0.7/: allow_private: false refuses 10.0.0.7, which is not an address of the internet`,
		"targets:\n- name: a\n  url: http://[::1]:80/\n  secret: 12345678\n  allow_private: false":    `allow_private: false refuses ::1`,
		"targets:\n- name: a\n  url: http://LOCALHOST:80\n  secret: 12345678\n  allow_private: false": `allow_private: false refuses LOCALHOST`,
	} {
		_, _, err := parseTargets("targets.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s tells a secret: %v", text, err)
		}
	}
	_, _, err := parseTargets("targets.yaml", []byte(head+"    attempts: 0\n    timeout: 0s"))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes, got %v", err)
	}
}

// Zorio sends new kinds of events without notice: a name that nobody knows is no mistake, but may be a slip.
func TestANameThatZorioIsNotKnownToSendIsAWarning(t *testing.T) {
	const head = "targets:\n  - name: crm\n    url: http://h/\n    secret: hunter2hunter2\n    events: "
	for events, want := range map[string]string{
		"[pbx.call.hangup, pbx.call.hangpu]": `targets.yaml:5: target "crm": events "pbx.call.hangpu": Zorio is not known to send such events: did you mean pbx.call.hangup?`,
		"telesale.>":                         `targets.yaml:5: target "crm": events "telesale.>": Zorio is not known to send such events`,
		"[fax.*]":                            `events "fax.*"`,
		"[autocall.campaign.paused, autocall.lead.*, 'telesales.>', pbx.call.*]": "",
		"'>'": "",
	} {
		_, warnings, err := parseTargets("targets.yaml", []byte(head+events))
		if err != nil || len(warnings) > 1 || !strings.Contains(strings.Join(warnings, ""), want) || (len(warnings) == 0) != (want == "") {
			t.Errorf("%s: %q %v", events, warnings, err)
		}
	}
}

// --check tells what will be posted where, without secrets; what is only a warning stops nothing.
func TestCheckShowsTheTargets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "targets.yaml")
	const text = "targets:\n" +
		"  - {name: crm, url: 'https://user:hunter2@crm.internal/webhook?key=hunter2', secret: hunter2hunter2, events: [pbx.>, fax.page], concurrency: 8, attempts: 3}\n" +
		"  - {name: partner, url: 'https://hooks.partner.example/zorio', secret: hunter2hunter2, allow_private: false, timeout: 10s}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.Command(rig.Build(t, "./consumer/forward"), "--check")
	check.Env = rig.Environment("SLUICE_TARGETS=" + file)
	output, err := check.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	for _, want := range []string{"SLUICE_TARGETS ", `target crm +https://xxxxx@crm\.internal/webhook\S* +pbx\.> fax\.page +secret \(14 characters\) +timeout 5s, concurrency 8, attempts 3\n`,
		`target partner +https://hooks\.partner\.example/zorio +every event +secret \(14 characters\) +timeout 10s, no private addresses\n`,
		`forward: .*targets.yaml:2: target "crm": events "fax\.page": Zorio is not known`} {
		if !regexp.MustCompile(want).Match(output) {
			t.Errorf("%q is not in:\n%s", want, output)
		}
	}
	if strings.Contains(string(output), "hunter2") {
		t.Errorf("a secret is in:\n%s", output)
	}
}

// Whatever the file says, it is read as targets that can be worked for, or refused with lines that name it.
func FuzzTargets(f *testing.F) {
	f.Add(full)
	f.Add("targets: [{name: a, url: 'http://h', secret: 12345678, events: [pbx.>]}]\n---\n")
	f.Add("targets:\n- &a {name: a, url: http://[::1]/, secret: 12345678, allow_private: false}\n- *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "secret_") { // a file or a variable of this machine
			return
		}
		targets, _, err := parseTargets("targets.yaml", []byte(text))
		if err == nil && len(targets) == 0 {
			t.Error("no targets, and no error")
		}
		for _, one := range targets {
			if _, invalid := url.Parse(one.URL); err == nil && (invalid != nil || !validName.MatchString(one.Name) || len(one.Secret) < 8 || one.Timeout <= 0) {
				t.Errorf("%+v is taken for a target", one)
			}
		}
		if err != nil && !strings.HasPrefix(err.Error(), "targets.yaml") {
			t.Errorf("an error that does not name the file: %v", err)
		}
	})
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
