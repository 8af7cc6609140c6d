package journal

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// appendForEver is the process that is killed: it appends groups to the journal of a folder, and prints the index of the
// last record of each that is synced. At a full journal it settles the older half.
func appendForEver(dir string) {
	j, err := Open(Options{Dir: dir, MaxBytes: testBytes, Log: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	fmt.Println("first", j.First())
	for n := 1; ; n = n%40 + 1 {
		first, err := j.Append(contents(j.Next(), n))
		if err != nil {
			if err := j.Checkpoint(j.First() + j.Depth()/2); err != nil {
				fmt.Println("checkpoint:", err)
				os.Exit(1)
			}
			fmt.Println("first", j.First())
			continue
		}
		fmt.Println("synced", first+uint64(n)-1)
	}
}

func TestNothingSyncedIsLostWhenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := rig.Start(t, os.Args[0], nil, rig.Environment("JOURNAL_APPENDS_IN="+dir))
	for round := range 8 {
		if round > 0 {
			p.Start()
		}
		seen := len(p.Output())
		rig.Eventually(t, 20*time.Second, "it appends", func() bool { return strings.Count(p.Output()[seen:], "synced") > 100*(round%3)+3 })
		p.Kill()
		first, synced := told(t, p.Output())
		j, log := opened(t, dir)
		if j.First() < first || j.Next() <= synced {
			t.Fatalf("it told of records %d to %d; there are %d until before %d", first, synced, j.First(), j.Next())
		}
		holds(t, j, j.First(), j.Next())
		if strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("said: %s", log)
		}
		crash(j)
	}
}

// told are the first record that is not settled and the last one that is synced, as the process told.
func told(t *testing.T, output string) (first, synced uint64) {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(output)); lines.Scan(); {
		word, number, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(number, 10, 64)
		switch {
		case word == "first":
			first = n
		case word == "synced" && n > synced && err == nil:
			synced = n
		case word == "open:" || word == "checkpoint:" || strings.Contains(lines.Text(), "level=ERROR"):
			t.Fatal(lines.Text())
		}
	}
	return first, synced
}
