package sluice

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// modules is what the tool says of all programs.
func modules(t *testing.T, form string) string {
	t.Helper()
	arguments := []string{form}
	for _, pkg := range append(binaries, "./sluicectl") {
		arguments = append(arguments, rig.Build(t, pkg))
	}
	output, err := exec.Command(rig.Tool(t, "./modules"), arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return string(output)
}

// The bill names every module that Go itself finds in a program, in its version, with a licence.
func TestTheBillOfMaterialsIsComplete(t *testing.T) {
	t.Parallel()
	var bill struct {
		BOMFormat  string
		Components []struct {
			Name, Version, PURL string
			Licenses            []struct{ License struct{ ID string } }
		}
	}
	if err := json.Unmarshal([]byte(modules(t, "bom")), &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("%q: %v", bill.BOMFormat, err)
	}
	billed := map[string]bool{}
	for _, c := range bill.Components {
		billed[c.Name+" "+c.Version] = true
		if !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name) && c.Version != "" {
			t.Errorf("%s has the address %s", c.Name, c.PURL)
		}
		if c.Version != "" && (len(c.Licenses) != 1 || c.Licenses[0].License.ID == "") {
			t.Errorf("%s has no licence", c.Name)
		}
	}
	for _, pkg := range append(binaries, "./sluicectl") {
		output, err := exec.Command("go", "version", "-m", rig.Build(t, pkg)).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(output)) {
			if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" && !strings.HasPrefix(f[1], "github.com/sluicehq/") && !billed[f[1]+" "+f[2]] {
				t.Errorf("%s: %s %s is not on the bill", pkg, f[1], f[2])
			}
		}
	}
}

// One program stands for all of them: `make reproducible` builds the others too, and with empty caches.
func TestTwoBuildsInDifferentFoldersAreTheSame(t *testing.T) {
	t.Parallel()
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	builds := exec.Command(filepath.Join(rig.Root(t), "tools", "reproducible"), "./consumer/forward")
	builds.Env = append(os.Environ(), "GOCACHE="+strings.TrimSpace(string(cache)))
	output, err := builds.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "forward: OK") {
		t.Errorf("%v\n%s", err, output)
	}
}
