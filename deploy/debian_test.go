package deploy

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// machine is a copy of this one: what is changed in it is in memory, and gone with it.
type machine struct {
	t    *testing.T
	pid  int
	root string // in its name space
}

// copied makes one. The file system below it is this machine's, which stays as it is.
func copied(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a package can only be installed by root, even into a copy of this machine")
	}
	dir := t.TempDir()
	holder := exec.Command("/bin/sh", "-c", `set -e
		mount -t tmpfs -o size=1g none "$1" && cd "$1" && mkdir up work root
		mount -t overlay -o lowerdir=/,upperdir=up,workdir=work none root
		mount --bind /dev root/dev && mount -t proc none root/proc && mount -t tmpfs none root/run && mount -t tmpfs none root/tmp
		echo mounted && exec sleep 600`, "-", dir)
	var output rig.Buffer
	holder.Stdout, holder.Stderr = &output, &output
	holder.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	rig.Eventually(t, 60*time.Second, "a copy of this machine is mounted", func() bool {
		return strings.Contains(output.String(), "mounted")
	})
	return &machine{t: t, pid: holder.Process.Pid, root: dir + "/root"}
}

// path is that of a file of it, seen from here.
func (m *machine) path(file string) string {
	return fmt.Sprintf("/proc/%d/root%s%s", m.pid, m.root, file)
}

// run runs a script there, and returns what it prints.
func (m *machine) run(script string) string {
	m.t.Helper()
	output, err := m.try(script)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", script, err, output)
	}
	return output
}

func (m *machine) try(script string) (string, error) {
	enter := exec.Command("nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", m.pid), "chroot", m.root, "/bin/sh", "-ec", script)
	enter.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "HOME=/root"}
	output, err := enter.CombinedOutput()
	return string(output), err
}

// withSystemd lets it look as if systemd ran: a systemctl that writes down what it is asked for.
func (m *machine) withSystemd() {
	m.t.Helper()
	m.run(`mkdir -p /run/systemd/system; printf '#!/bin/sh\necho "$@" >>/run/asked\n' >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl`)
}

// asked is what systemctl was asked for since the last time.
func (m *machine) asked() string {
	m.t.Helper()
	return strings.TrimSpace(m.run(`cat /run/asked 2>/dev/null || true; rm -f /run/asked`))
}

// is fails the test unless a condition of the shell holds there.
func (m *machine) is(condition string) {
	m.t.Helper()
	if output, err := m.try(condition); err != nil {
		m.t.Errorf("it does not hold that %s: %v\n%s", condition, err, output)
	}
}

// packaged writes a Debian package of the programs in a folder.
func packaged(t *testing.T, version, bin, file string) {
	t.Helper()
	make := exec.Command(rig.Tool(t, "./deb"), version, runtime.GOARCH, bin, bill(t), file)
	make.Dir, make.Env = rig.Root(t), append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if output, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// bill is a folder with files in place of the bill of materials.
func bill(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "sluice.cdx.json"), "{}")
	put(t, filepath.Join(dir, "third-party-licences.txt"), "licences")
	return dir
}

// stubs is a folder with files in place of the programs, which are packaged at once.
func stubs(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	for _, program := range []string{"gateway", "pbx", "telesales", "autocall", "forward", "archive", "sluicectl", "console"} {
		put(t, filepath.Join(bin, program), "a program")
	}
	return bin
}

func TestThePackageIsInstalledUpgradedRemovedAndPurged(t *testing.T) {
	t.Parallel()
	m := copied(t)
	bin := stubs(t)
	packaged(t, "v1.0.0-4-gabcdef", bin, m.path("/second.deb"))
	if err := os.Rename(bin+"/gateway", bin+"/stub"); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(rig.Build(t, "./gateway"), bin+"/gateway"); err != nil {
		t.Fatal(err)
	}
	packaged(t, "v1.0.0", bin, m.path("/first.deb"))
	m.withSystemd()

	said := m.run(`dpkg -i /first.deb`)
	if !strings.Contains(said, "nothing of it runs yet") {
		t.Errorf("it does not say what to do now:\n%s", said)
	}
	if asked := m.asked(); asked != "daemon-reload" {
		t.Errorf("the installation asks systemd: %s", asked)
	}
	m.is(`getent passwd sluice | grep -q ':/var/lib/sluice:/usr/sbin/nologin$'`)
	m.is(`[ "$(stat -c %A:%U:%G /etc/sluice /etc/sluice/gateway.env | tr '\n' ' ')" = 'drwxr-x---:root:sluice -rw-r-----:root:sluice ' ]`)
	m.is(`[ -z "$(ls /etc/systemd/system/*.wants/sluice* 2>/dev/null)" ]`)
	m.is(`[ -x "$(readlink -f /usr/bin/sluicectl)" ]`)
	m.is(`grep -q access/accounts.conf /usr/share/doc/sluice/examples/single.conf && grep -q PASSWORD /usr/share/doc/sluice/examples/redis-users.acl`)
	m.is(`printf 0123456789abcdefghijABCDEFGHIJ01 | install -m 0640 -g sluice /dev/stdin /etc/sluice/zorio_webhook_secret`)
	m.is(`ZORIO_WEBHOOK_SECRET_FILE=/etc/sluice/zorio_webhook_secret setpriv --reuid=sluice --regid=sluice --clear-groups /opt/sluice/bin/gateway --check`)
	m.is(`! setpriv --reuid=nobody --regid=nogroup --clear-groups cat /etc/sluice/zorio_webhook_secret`)
	if same, err := sameFile(m.path("/opt/sluice/bin/gateway"), rig.Build(t, "./gateway")); err != nil || !same {
		t.Errorf("the gateway in the package is not the one that was built: %v", err)
	}

	m.run(`mkdir -p /var/lib/sluice && echo events >/var/lib/sluice/events && echo SLUICE_LOG=debug >>/etc/sluice/gateway.env`)
	m.run(`dpkg -i /second.deb`)
	if asked := m.asked(); asked != "daemon-reload\ndaemon-reload\n--no-block try-restart sluice-gateway.service sluice-consumer@*.service sluice-console.service" {
		t.Errorf("the upgrade asks systemd: %s", asked)
	}
	m.is(`grep -q SLUICE_LOG=debug /etc/sluice/gateway.env`)
	m.is(`[ "$(dpkg-query -f '${Version}' -W sluice)" = 1.0.0+4.gabcdef ]`)

	m.run(`dpkg --remove sluice`)
	if asked := m.asked(); asked != "stop sluice-gateway.socket sluice-gateway.service sluice-consumer@*.service sluice-console.service\ndaemon-reload" {
		t.Errorf("the removal asks systemd: %s", asked)
	}
	m.is(`[ ! -e /opt/sluice ] && [ ! -e /usr/bin/sluicectl ] && [ ! -e /usr/lib/systemd/system/sluice-gateway.socket ]`)
	m.is(`grep -q events /var/lib/sluice/events && grep -q SLUICE_LOG=debug /etc/sluice/gateway.env && [ -s /etc/sluice/zorio_webhook_secret ]`)

	if said := m.run(`dpkg --purge sluice`); !strings.Contains(said, "/var/lib/sluice is kept") {
		t.Errorf("the purge does not say what it leaves:\n%s", said)
	}
	m.is(`[ ! -e /etc/sluice ] && grep -q events /var/lib/sluice/events`)
	m.is(`! dpkg-query -W sluice`)
	m.run(`dpkg -i /first.deb`)
	m.is(`[ -s /etc/sluice/gateway.env ]`)
}

func sameFile(one, other string) (bool, error) {
	a, err := os.ReadFile(one)
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile(other)
	return slices.Equal(a, b), err
}

// Where systemd does not run, as in a container, nothing is asked of it.
func TestThePackageIsInstalledWhereSystemdDoesNotRun(t *testing.T) {
	t.Parallel()
	m := copied(t)
	packaged(t, "v1.0.0", stubs(t), m.path("/sluice.deb"))
	m.run(`printf '#!/bin/sh\necho "$@"; exit 1\n' >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl`)
	m.run(`dpkg -i /sluice.deb && dpkg --remove sluice && dpkg -i /sluice.deb && dpkg --purge sluice`)
	m.is(`[ ! -e /etc/sluice ] && [ ! -e /opt/sluice ]`)
}

// Each example of a configuration names settings of its program alone, commented out or not, and the program starts with it.
func TestTheExamplesOfThePackageAreSettings(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(rig.Root(t), "deploy", "debian", "etc")
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	put(t, targets, secrets["targets.yaml"])
	admins := map[string]bool{}
	for name, text := range texts(t, folder) {
		program := rig.Build(t, source(t, "/"+strings.TrimSuffix(name, ".env")))
		help, err := exec.Command(program, "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		environment := []string{"ZORIO_WEBHOOK_SECRET=" + webhookSecret}
		for _, line := range regexp.MustCompile(`(?m)^(#?)([A-Z_]+)=(.*)$`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(strings.Fields(string(help)), line[2]) {
				t.Errorf("%s: %s is no setting", name, line[2])
			}
			if line[1] == "" {
				environment = append(environment, line[2]+"="+strings.Replace(line[3], "/etc/sluice/targets.yaml", targets, 1))
			}
			if line[2] == "SLUICE_ADMIN" && admins[line[3]] {
				t.Errorf("%s: another has %s too", name, line[3])
			}
			admins[line[3]] = true
		}
		check := exec.Command(program, "--check")
		check.Env = rig.Environment(environment...)
		if output, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}

// texts is the text of each file in a folder, by its name.
func texts(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), folder, err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[file.Name()] = string(text)
	}
	return all
}

// What is packaged twice is the same to the byte, and holds nothing that depends on who built it.
func TestThePackageIsReproducible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one.deb"), filepath.Join(dir, "other.deb")
	packaged(t, "v1.0.0", stubs(t), one)
	packaged(t, "v1.0.0", stubs(t), other)
	if same, err := sameFile(one, other); err != nil || !same {
		t.Errorf("two packages of the same programs differ: %v", err)
	}
	list, err := exec.Command("dpkg-deb", "-c", one).Output()
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		owners[strings.Fields(line)[1]] = true
	}
	if !maps.Equal(owners, map[string]bool{"root/root": true}) {
		t.Errorf("files belong to %v", owners)
	}
}
