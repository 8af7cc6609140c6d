// modules tells what is linked into programs, as the programs say themselves: as a table of licences (table), as their
// texts (texts), or as a software bill of materials in the form of CycloneDX (bom). VERSION is that of the programs.
package main

import (
	"fmt"
	"os"
)

const usage = "usage: modules table|texts|bom PROGRAMS..."

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "modules:", err)
		os.Exit(1)
	}
}

func run(form string, programs []string) error {
	linked, err := read(programs)
	if err != nil {
		return err
	}
	switch form {
	case "table":
		return table(os.Stdout, linked)
	case "texts":
		return texts(os.Stdout, linked)
	case "bom":
		return bom(os.Stdout, linked, os.Getenv("VERSION"))
	}
	return fmt.Errorf("%q: %s", form, usage)
}
