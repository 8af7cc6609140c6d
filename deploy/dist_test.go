package deploy

import (
	"crypto/sha256"
	"debug/elf"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

var dist = flag.Bool("dist", false, "pack all binaries for Linux, and look into the archives")

// machines are those that binaries are packed for.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// An archive has every program, static and for its machine, and what the units, the compose file and the documentation
// name. The programs for this machine say the version that was packed.
func TestDistHasWhatAMachineNeeds(t *testing.T) {
	if !*dist {
		t.Skip("`make dist-test` runs it")
	}
	const version = "v9.8.7"
	folder := t.TempDir()
	pack := exec.Command(filepath.Join(rig.Root(t), "tools/dist"), version, folder, "linux/amd64", "linux/arm64")
	if output, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	sums := read(t, filepath.Join(folder, "SHA256SUMS"))
	for arch, machine := range machines {
		name := "sluice_9.8.7_linux_" + arch
		archive := filepath.Join(folder, name+".tar.gz")
		if sum := fmt.Sprintf("%x  %s.tar.gz", sha256.Sum256([]byte(content(t, archive))), name); !strings.Contains(sums, sum) {
			t.Errorf("SHA256SUMS does not have %q", sum)
		}
		if output, err := exec.Command("tar", "-x", "-C", folder, "-f", archive).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		for _, file := range []string{"README.md", "LICENSE", "docs/deploy.md", "docker-compose.yml", "deploy/compose/env", "deploy/systemd/sluice-gateway.service", "deploy/prometheus/alerts.yml", "sluice.cdx.json", "third-party-licences.txt"} {
			if _, err := os.Stat(filepath.Join(folder, name, file)); err != nil {
				t.Error(err)
			}
		}
		if said, err := exec.Command("dpkg-deb", "-f", filepath.Join(folder, "sluice_9.8.7_"+arch+".deb"), "Version", "Architecture").CombinedOutput(); err != nil || string(said) != "Version: 9.8.7\nArchitecture: "+arch+"\n" {
			t.Errorf("the Debian package: %v\n%s", err, said)
		}
		for _, program := range []string{"gateway", "sluicectl", "console", "pbx", "telesales", "autocall", "archive", "forward"} {
			static(t, filepath.Join(folder, name, "bin", program), machine)
			if arch == runtime.GOARCH {
				said, err := exec.Command(filepath.Join(folder, name, "bin", program), "--version").CombinedOutput()
				if err != nil || !strings.Contains(string(said), version) {
					t.Errorf("%s --version: %v: %s", program, err, said)
				}
			}
		}
	}
}

// static fails for a program that is another machine's, or needs libraries of it.
func static(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = file.Close() }()
	libraries, err := file.ImportedLibraries()
	if file.Machine != machine || len(libraries) > 0 || err != nil {
		t.Errorf("%s is for %s and needs %q (%v)", program, file.Machine, libraries, err)
	}
}
