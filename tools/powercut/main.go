// powercut mounts a disk in memory that can lose its power: what was not synced is gone then, as on a real disk. It is a
// program of its own so that the library weighs on the tests alone, and so that a test can kill what uses the disk.
//
//	powercut [-sync 500µs] FOLDER
//
// Once mounted it takes commands on its standard input, a line each, and answers with the command when it is carried out:
//
//	cut             everything fails from now on, and what was not synced is lost, all of it
//	cut SEED        the same, and some of what was not synced has reached the disk: which, follows from the seed
//	... at PATTERN  either, as soon as a file whose name matches is written, created, renamed or removed, and not synced yet;
//	                from the answer "waiting" on, which comes before that of every cut
//	restore         the disk is mounted again, with what was left
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
		switch verb, how, _ := strings.Cut(lines.Text(), " "); verb {
		case "cut":
			seed, pattern, _ := strings.Cut(how, "at ")
			luck, err := lucky(strings.TrimSpace(seed))
			if err != nil {
				return err
			}
			done := d.cut(pattern, luck)
			fmt.Fprintln(answers, "waiting")
			<-done
		case "restore":
			if err := m.again(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("no command %q: they are cut and restore", lines.Text())
		}
	}
	return m.unmount()
}

// lucky is what decides about what was not synced; without a seed nothing of it survives.
func lucky(seed string) (*rand.Rand, error) {
	if seed == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the seed %q is not a number", seed)
	}
	return rand.New(rand.NewPCG(n, 0)), nil
}
