package deploy

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// everything is an overlay with all that deploy/kubernetes has.
const everything = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: sluice
resources: [../../base, ../../archive, ../../forward]
components: [../../components/ingress, ../../components/monitoring, ../../components/postgres]
images: [{name: sluice, newTag: v1}]
configMapGenerator:
  - {name: access, files: [secrets/access/accounts.conf, secrets/access/teams.conf]}
secretGenerator:
  - {name: admin, files: [secrets/admin_token]}
  - {name: gateway, files: [nats.nk=secrets/access/users/gateway.nk, secrets/zorio_webhook_secret, secrets/redis_url]}
  - {name: operator, files: [nats.nk=secrets/access/users/operator.nk]}
  - {name: nats, files: [secrets/routes.conf]}
  - {name: redis, files: [secrets/redis_users]}
  - {name: archive, files: [nats.nk=secrets/access/users/archive.nk]}
  - {name: forward, files: [nats.nk=secrets/access/users/forward.nk, secrets/targets.yaml]}
  - {name: pbx, files: [nats.nk=secrets/access/users/pbx.nk, database_url=secrets/pbx_database_url]}
  - {name: telesales, files: [nats.nk=secrets/access/users/telesales.nk, database_url=secrets/telesales_database_url]}
  - {name: autocall, files: [nats.nk=secrets/access/users/autocall.nk, database_url=secrets/autocall_database_url]}
`

const webhookSecret = "0123456789abcdefghijABCDEFGHIJ01"

// direct is everything with a load balancer instead of an Ingress.
var direct = strings.Replace(everything, "components/ingress", "components/loadbalancer", 1)

// secrets are the files that an overlay makes its Secrets of.
var secrets = map[string]string{
	"zorio_webhook_secret":   webhookSecret,
	"admin_token":            "0123456789abcdef0123456789abcdef",
	"redis_url":              "redis://gateway:PASSWORD@redis:6379",
	"routes.conf":            `routes: ["nats://route:x@nats-0.nats-pods:6222", "nats://route:x@nats-1.nats-pods:6222", "nats://route:x@nats-2.nats-pods:6222"], authorization {user: route, password: x}`,
	"targets.yaml":           "targets: [{name: crm, url: http://crm.internal, secret: 0123456789abcdef}]",
	"pbx_database_url":       "postgres://pbx:x@db/pbx",
	"telesales_database_url": "postgres://telesales:x@db/telesales",
	"autocall_database_url":  "postgres://autocall:x@db/autocall",
}

// overlays are what `kubectl apply -k` would send, by the overlay's name.
func overlays(t *testing.T) map[string]cluster {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "kubernetes")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(rig.Root(t), "deploy", "kubernetes"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"everything": everything, "direct": direct} {
		if err := os.Mkdir(filepath.Join(dir, "overlays", name), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "overlays", name, "kustomization.yaml"), text)
	}
	folders, err := filepath.Glob(filepath.Join(dir, "overlays", "*"))
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "secrets")
	if err := os.Mkdir(made, 0o700); err != nil {
		t.Fatal(err)
	}
	accessFolder(t, made)
	put(t, filepath.Join(made, "redis_users"), content(t, filepath.Join(rig.Root(t), "deploy/redis-users.acl")))
	for name, text := range secrets {
		put(t, filepath.Join(made, name), text)
	}
	all := map[string]cluster{}
	for _, folder := range folders {
		if err := os.CopyFS(filepath.Join(folder, "secrets"), os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(folder)] = build(t, folder)
	}
	return all
}

// build is what the tool prints, decoded into what the tests look at.
func build(t *testing.T, folder string) (c cluster) {
	t.Helper()
	text, err := exec.Command(rig.Tool(t, "./kubernetes"), folder).Output()
	if err != nil {
		var failed *exec.ExitError
		errors.As(err, &failed)
		t.Fatalf("%s: %v\n%s", filepath.Base(folder), err, failed.Stderr)
	}
	if err := json.Unmarshal(text, &c); err != nil || len(c) == 0 {
		t.Fatalf("%d objects: %v", len(c), err)
	}
	return c
}

func TestEverySelectorSelectsAndEveryReferenceExists(t *testing.T) {
	t.Parallel()
	for name, c := range overlays(t) {
		var complaints []string
		for _, o := range c {
			for _, complaint := range c.complaints(o) {
				complaints = append(complaints, fmt.Sprintf("%s: %s %s: %s", name, o.Kind, o.Metadata.Name, complaint))
			}
		}
		if len(complaints) > 0 {
			t.Error(strings.Join(complaints, "\n"))
		}
	}
}

// Every name in a pod's environment is a setting of its program, which starts with their values and the pod's files.
func TestEveryPodStartsWithItsEnvironment(t *testing.T) {
	t.Parallel()
	for name, c := range overlays(t) {
		for _, o := range c {
			for _, container := range o.Spec.Template.Spec.Containers {
				if strings.Contains(container.Image, "sluice") && container.Command[0] != "/sluicectl" { // which has no --check
					t.Run(name+"/"+o.Metadata.Name, func(t *testing.T) { starts(t, container, c.files(t, o.pod())) })
				}
			}
		}
	}
}

func starts(t *testing.T, c container, files string) {
	program := rig.Build(t, source(t, c.Command[0]))
	help, err := exec.Command(program, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	var environment []string
	for _, v := range c.Env {
		if !slices.Contains(strings.Fields(string(help)), v.Name) {
			t.Errorf("%s is no setting", v.Name)
		}
		environment = append(environment, v.Name+"="+here(v.Value, files, t.TempDir()))
	}
	check := exec.Command(program, "--check")
	check.Env = rig.Environment(environment...)
	if output, err := check.CombinedOutput(); err != nil || strings.Contains(string(output), "is no setting") {
		t.Errorf("%v\n%s", err, output)
	}
}

// here is a value of a pod's environment with the folders of this machine.
func here(value, files, data string) string {
	if file, is := strings.CutPrefix(value, "/etc/sluice/"); is {
		return filepath.Join(files, file)
	}
	if value == "/data" {
		return data
	}
	return value
}

// source is the package of a program in the image.
func source(t *testing.T, path string) string {
	t.Helper()
	for _, pkg := range []string{"." + path, "./consumer" + path} {
		if _, err := os.Stat(filepath.Join(rig.Root(t), pkg, "main.go")); err == nil {
			return pkg
		}
	}
	t.Fatalf("there is no program %s", path)
	return ""
}

func TestEveryPodIsLimitedCheckedAndGivenTimeToStop(t *testing.T) {
	t.Parallel()
	for name, c := range overlays(t) {
		for _, o := range c {
			for _, container := range o.Spec.Template.Spec.Containers {
				what := name + "/" + o.Metadata.Name
				if !container.SecurityContext.ReadOnlyRootFilesystem {
					t.Errorf("%s writes into its image", what)
				}
				if container.Resources.Limits["memory"] == "" || container.Resources.Requests["cpu"] == "" {
					t.Errorf("%s: no limit of memory, or no request for a processor", what)
				}
				if container.ReadinessProbe == nil || container.LivenessProbe == nil && len(container.Ports) > 0 {
					t.Errorf("%s is not probed", what)
				}
				if _, tag, found := strings.Cut(container.Image, ":"); !found || tag == "latest" {
					t.Errorf("%s: the image %s is any", what, container.Image)
				}
				// 10 s is how long a stop of the gateway may take, 15 s that of a consumer.
				if grace := o.Spec.Template.Spec.TerminationGracePeriodSeconds; grace < container.Lifecycle.PreStop.Sleep.Seconds+15 {
					t.Errorf("%s: is killed after %d s", what, grace)
				}
			}
		}
	}
}

var update = flag.Bool("update", false, "write what is made from files outside of deploy/kubernetes")

// kustomize reads no file outside its folder: these are copies, and the alerts in the form of the Prometheus operator.
func TestTheConfigurationsAreThoseOfTheOthers(t *testing.T) {
	t.Parallel()
	same := func(text string) string { return text }
	for _, file := range []struct {
		made, from string
		as         func(string) string
	}{
		{"base/redis.conf", "redis.conf", same},
		{"overlays/small/nats.conf", "nats/single.conf", same},
		{"components/monitoring/rules.yaml", "prometheus/alerts.yml", operators},
	} {
		original, err := os.ReadFile(filepath.Join(rig.Root(t), "deploy", file.from))
		if err != nil {
			t.Fatal(err)
		}
		path, want := filepath.Join(rig.Root(t), "deploy", "kubernetes", file.made), file.as(string(original))
		if *update {
			put(t, path, want)
		} else if have, err := os.ReadFile(path); err != nil || string(have) != want {
			t.Errorf("deploy/kubernetes/%s is not deploy/%s (%v): run `make docs`", file.made, file.from, err)
		}
	}
}

// operators is a file of rules as the Prometheus operator takes it.
func operators(rules string) string {
	const head = "# deploy/prometheus/alerts.yml for the Prometheus operator: `make docs` writes it.\napiVersion: monitoring.coreos.com/v1\n" +
		"kind: PrometheusRule\nmetadata:\n  name: sluice\nspec:\n"
	text := head
	for line := range strings.Lines(rules[strings.Index(rules, "groups:"):]) {
		if line != "\n" {
			text += "  "
		}
		text += line
	}
	return text
}
