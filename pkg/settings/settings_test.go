package settings

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type Inner struct {
	Log string `env:"T_LOG" envDefault:"info" oneof:"debug,info" help:"level"`
}

type sample struct {
	Secret string `env:"T_SECRET" secret:"true" file:"true" required:"true" help:"the secret"`
	Inner
	Nested inner2
	URL    string        `env:"T_URL" secret:"url" help:"where"`
	Count  int           `env:"T_COUNT" envDefault:"5" min:"1" max:"9" help:"how many"`
	Wait   time.Duration `env:"T_WAIT" envDefault:"1m" min:"1s" help:"how long"`
	Size   Bytes         `env:"T_SIZE" envDefault:"1MiB" min:"1KiB" max:"7MiB" help:"how large"`
	Listen string        `env:"T_LISTEN" listen:"true" help:"where it listens"`
	Socket string        `env:"T_SOCKET" listen:"socket" help:"where else it may listen"`
	Creds  string        `env:"T_CREDS" reads:"true" help:"what it reads"`
}

type inner2 struct {
	Deep bool `env:"T_DEEP" help:"whether"`
}

func TestLoadFillsInDefaultsAndWhatIsSet(t *testing.T) {
	var s sample
	err := load(&s, map[string]string{"T_SECRET": "abc", "T_COUNT": "7", "T_WAIT": "", "T_DEEP": "true", "T_SIZE": "64 kib"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Secret != "abc" || s.Count != 7 || s.Wait != time.Minute || s.Log != "info" || !s.Nested.Deep || s.Size != 64<<10 {
		t.Errorf("got %+v", s)
	}
}

// others has another default than the struct that it embeds.
type others struct{ Sample sample }

func (*others) Defaults() map[string]string { return map[string]string{"T_COUNT": "8"} }

func TestAStructMayHaveOtherDefaults(t *testing.T) {
	for set, want := range map[string]int{"": 8, "2": 2} {
		var s others
		if err := load(&s, map[string]string{"T_SECRET": "abc", "T_COUNT": set}); err != nil || s.Sample.Count != want {
			t.Errorf("T_COUNT=%q: %d, %v", set, s.Sample.Count, err)
		}
	}
	var help strings.Builder
	command{binary: "b", settings: &others{}, out: &help}.help()
	if !strings.Contains(help.String(), "T_COUNT (default 8)") {
		t.Errorf("help says %s", help.String())
	}
}

func TestLoadNamesEveryMistakeAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"missing":          {map[string]string{}, []string{"T_SECRET is not set: the secret (or name a file that holds it in T_SECRET_FILE)"}},
		"bounds":           {map[string]string{"T_SECRET": "x", "T_COUNT": "10", "T_SIZE": "8MiB"}, []string{`T_COUNT="10": use a whole number, from 1 to 9`, `T_SIZE="8MiB": use a number of bytes, or one with KiB, MiB, GiB, from 1KiB to 7MiB`}},
		"least":            {map[string]string{"T_SECRET": "x", "T_WAIT": "1ms"}, []string{`T_WAIT="1ms": use a duration such as 90s, 5m or 24h, at least 1s`}},
		"no number":        {map[string]string{"T_SECRET": "x", "T_COUNT": "many", "T_WAIT": "long", "T_SIZE": "big"}, []string{`T_COUNT="many": use a whole number`, `T_WAIT="long": use a duration`, `T_SIZE="big": use a number of bytes`}},
		"choice":           {map[string]string{"T_SECRET": "x", "T_LOG": "loud"}, []string{`T_LOG="loud": use debug or info`}},
		"no port":          {map[string]string{"T_SECRET": "x", "T_LISTEN": "3000"}, []string{`T_LISTEN="3000": use host:port, or :port for every address of this machine`}},
		"no such port":     {map[string]string{"T_SECRET": "x", "T_LISTEN": ":99999"}, []string{`T_LISTEN=":99999": use host:port`}},
		"no path":          {map[string]string{"T_SECRET": "x", "T_SOCKET": "unix:here"}, []string{`T_SOCKET="unix:here": use host:port, :port for every address of this machine, unix:/path, or systemd`}},
		"a path, no port":  {map[string]string{"T_SECRET": "x", "T_LISTEN": "unix:/run/x"}, []string{`T_LISTEN="unix:/run/x": use host:port`}},
		"nothing to read":  {map[string]string{"T_SECRET": "x", "T_CREDS": "/no/such/file"}, []string{"T_CREDS: open /no/such/file", "name a file that this user may read"}},
		"nested":           {map[string]string{"T_SECRET": "x", "T_DEEP": "maybe"}, []string{`T_DEEP="maybe": use true or false`}},
		"secret and file":  {map[string]string{"T_SECRET": "hunter2", "T_SECRET_FILE": "/f"}, []string{"T_SECRET and T_SECRET_FILE are both set"}},
		"file not there":   {map[string]string{"T_SECRET_FILE": "/no/such/file"}, []string{"T_SECRET_FILE: open /no/such/file", "name a file that this user may read"}},
		"file not allowed": {map[string]string{"T_SECRET": "x", "T_COUNT": "0", "T_COUNT_FILE": "/f"}, []string{`T_COUNT="0"`}},
	} {
		var s sample
		err := load(&s, c.env)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s tells the secret: %v", name, err)
		}
	}
}

func TestLoadReadsFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s sample
	if err := load(&s, map[string]string{"T_SECRET_FILE": file}); err != nil || s.Secret != "from the file" {
		t.Errorf("%q, %v", s.Secret, err)
	}
	if err := os.WriteFile(file, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load(&s, map[string]string{"T_SECRET_FILE": file}); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestEffectiveHidesSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"redis://user:hunter2@host:1": "redis://xxxxx@host:1",
		"nats://token@h1,nats://h2":   "nats://xxxxx@h1,nats://h2",
		"re dis://u:hunter2@x:\x7f":   "xxxxx",
		"u:hunter2@host:4222":         "xxxxx@host:4222",
		"redis://h?password=hunter2":  "redis://h?password=xxxxx",
		"host=db password=hunter2":    "host=db password=xxxxx",
		"redis://host:6379":           "redis://host:6379",
	} {
		var s sample
		if err := load(&s, map[string]string{"T_SECRET": "hunter2", "T_URL": url}); err != nil {
			t.Fatal(err)
		}
		block := Effective(&s)
		if !strings.Contains(block, want+"\n") || strings.Contains(block, "hunter2") || !strings.Contains(block, "(7 characters)") {
			t.Errorf("%s:\n%s", url, block)
		}
	}
}

func TestUnknownSettingsAreNamed(t *testing.T) {
	got := unknown(&sample{}, map[string]string{"SLUICE_LISTN": "x", "SLUICE_SOMETHING_ELSE": "x", "SLUICE_LISTEN": "x", "PATH": "x"})
	if len(got) != 2 || !strings.Contains(got[0], "did you mean SLUICE_LISTEN?") || !strings.Contains(got[1], "SLUICE_SOMETHING_ELSE is set but is not a setting") {
		t.Errorf("got %q", got)
	}
}

func TestCommandLine(t *testing.T) {
	for args, c := range map[string]struct {
		exit     int
		done     bool
		out, err string
	}{
		"":          {0, false, "", ""},
		"--check":   {0, true, "T_COUNT   5\n", ""},
		"--help":    {0, true, "T_SECRET or T_SECRET_FILE (required)\n      the secret", ""},
		"--version": {0, true, "sample ", ""},
		"--verbose": {2, true, "", "sample does not know --verbose"},
	} {
		t.Setenv("T_SECRET", "hunter2")
		var out, errors bytes.Buffer
		command := command{binary: "sample", summary: "does things", settings: &sample{}, out: &out, err: &errors}
		exit, done := command.answer(strings.Fields(args))
		if exit != c.exit || done != c.done || !strings.Contains(out.String(), c.out) || !strings.Contains(errors.String(), c.err) {
			t.Errorf("%q: %d %t %q %q", args, exit, done, out.String(), errors.String())
		}
	}
	t.Setenv("T_COUNT", "0")
	var out, errors bytes.Buffer
	exit, done := command{binary: "sample", settings: &sample{}, out: &out, err: &errors}.answer(nil)
	if exit != 1 || !done || errors.String() != "sample: T_COUNT=\"0\": use a whole number, from 1 to 9\n" {
		t.Errorf("a wrong value: %d %t %q", exit, done, errors.String())
	}
}

func FuzzBytes(f *testing.F) {
	for _, s := range []string{"0", "512", "1MiB", "20 GB", "9223372036854775807", "99999999999TiB", "-1", "KiB", "1 kb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Bytes
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b || b < 0 {
			t.Errorf("%q is %d, written %q, read back %d, %v", text, int64(b), b, int64(again), err)
		}
	})
}

func TestAddressesThatOthersReachAreWarnedOf(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:3001": false, "localhost:3001": false, "[::1]:3001": false, "": false, ":3001": true, "0.0.0.0:3001": true, "10.0.0.1:3001": true, "gateway:3001": true} {
		s := struct {
			Admin string `env:"SLUICE_ADMIN" exposes:"everything"`
		}{address}
		warnings := exposed(&s)
		if (len(warnings) == 1) != want || want && !strings.Contains(warnings[0], "SLUICE_ADMIN="+address+" can be reached from other machines, and gives everybody everything") {
			t.Errorf("%q: %q", address, warnings)
		}
	}
}
