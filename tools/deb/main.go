// deb VERSION ARCH BIN BILL PACKAGE builds the Debian package that deploy/debian/nfpm.yaml describes, of the programs in
// the folder BIN, with what they are made of in the folder BILL. It runs in the root of the project. SOURCE_DATE_EPOCH is
// the time of all files in it.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: deb VERSION ARCH BIN BILL PACKAGE")
		os.Exit(2)
	}
	if err := build(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, "deb:", err)
		os.Exit(1)
	}
}

func build(version, arch, bin, bill, path string) (err error) {
	values := map[string]string{"VERSION": debianVersion(version), "ARCH": arch, "BIN": bin, "BILL": bill}
	config, err := nfpm.ParseFileWithEnvMapping("deploy/debian/nfpm.yaml", func(name string) string { return values[name] })
	if err != nil {
		return err
	}
	info, err := config.Get("deb")
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return deb.Default.Package(info, file)
}

// debianVersion is what `git describe` says as Debian sorts it: v1.2.3 before v1.2.3-4-gabc, which is four commits later.
func debianVersion(described string) string {
	version := strings.TrimPrefix(described, "v")
	if version == described { // there is no tag yet
		version = "0.0.0-" + version
	}
	version, commits, _ := strings.Cut(version, "-")
	if commits == "" {
		return version
	}
	return version + "+" + strings.ReplaceAll(commits, "-", ".")
}
