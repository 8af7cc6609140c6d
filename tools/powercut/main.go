// powercut mounts a disk in memory that can lose its power: what was not synced is gone then, as on a real disk. It is a
// program of its own so that the library weighs on the tests alone, and so that a test can kill what uses the disk.
//
//	powercut [-sync 500µs] FOLDER
//
// Once mounted it takes commands on its standard input, a line each, and answers with the command when it is carried out:
//
//	cut        everything fails from now on, and what was not synced is lost, all of it
//	cut SEED   the same, and some of what was not synced has reached the disk: which, follows from the seed
//	restore    the disk is mounted again, with what was left
//
// It ends, and the mount with it, when its input does.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	takes := flag.Duration("sync", 500*time.Microsecond, "how long a sync takes")
	flag.Parse()
	if err := run(flag.Arg(0), *takes, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err)
		os.Exit(1)
	}
}

func run(folder string, takes time.Duration, commands io.Reader, answers io.Writer) error {
	d := newDisk(takes)
	m, err := mountAt(folder, d)
	if err != nil {
		return err
	}
	fmt.Fprintln(answers, "mounted")
	for lines := bufio.NewScanner(commands); lines.Scan(); fmt.Fprintln(answers, lines.Text()) {
		switch verb, seed, _ := strings.Cut(lines.Text(), " "); verb {
		case "cut":
			chance, err := luck(seed)
			if err != nil {
				return err
			}
			d.cut(chance)
		case "restore":
			if err := m.again(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("no command %q: they are cut, cut SEED and restore", lines.Text())
		}
	}
	return m.unmount()
}

// luck is what decides about what was not synced; without a seed nothing of it survives.
func luck(seed string) (*rand.Rand, error) {
	if seed == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the seed %q is not a number", seed)
	}
	return rand.New(rand.NewPCG(n, 0)), nil
}
