// Package faults breaks everything around the gateway, one thing after the other, while a sender sends as Zorio does, and
// holds an account against what is promised. `make faults` goes through the whole table and measures; a test run takes
// the rows that no other test has.
package faults

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

var (
	all   = flag.Bool("all", false, "all faults, one after the other, and not a part of them at once")
	rates = flag.String("rates", "200", "events a second, several separated by commas")
	scale = flag.Float64("scale", 60, "waits between attempts are shorter by so much")
	away  = flag.Duration("away", 20*time.Second, "how long NATS is away where that is the fault")
	write = flag.Bool("write", false, "write what was measured to docs/faults.md")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(rig.Main(m))
}

// TestFaults makes each fault of the table under load. Nothing that was answered 2xx may be lost or stored twice; how
// long runs of failures and answers are is measured, and asserted where nothing else runs on the machine.
func TestFaults(t *testing.T) {
	rig.NatsServer(t)
	rig.Build(t, "./gateway")
	var results []*result
	t.Run("under load", func(t *testing.T) {
		for text := range strings.SplitSeq(*rates, ",") {
			rate, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range table {
				if *all || f.often {
					r := &result{fault: f, rate: rate}
					results = append(results, r)
					t.Run(fmt.Sprintf("%s at %d a second", f.name, rate), r.measure)
				}
			}
		}
	})
	fmt.Print(markdown(results))
	if *write {
		writeDocs(t, results)
	}
}

// result is what one fault did at one rate.
type result struct {
	fault
	rate int

	done         bool
	lost, twice  int
	run          int // longest, of failures
	p99, slowest time.Duration
	before       struct{ p99, slowest time.Duration } // without the fault
	notes        []string
	broken       []string // what does not hold
}

// settles is how long the load goes on without a fault, before and after.
func settles() time.Duration {
	if *all {
		return 5 * time.Second
	}
	return 2 * time.Second
}

func (r *result) measure(t *testing.T) {
	if !*all {
		t.Parallel()
	}
	s := &stage{t: t, result: r}
	r.on(s)
	s.sender = rig.StartSender(t, s.sending())
	lasts(settles())
	begin := time.Now()
	r.begin(s)
	lasts(r.lasting())
	r.end(s)
	lasts(settles())
	s.sender.End()
	s.balance()
	r.judge(split(s.sender.Attempts(), begin))
	t.Log(r.row())
	for _, what := range r.broken {
		t.Error(what)
	}
}

func (r *result) lasting() time.Duration {
	switch {
	case r.lasts == untilBack:
		return *away
	case !*all:
		return min(r.lasts, 10*time.Second) // more than an election takes
	}
	return r.lasts
}

// split tells the attempts that had ended at a time from the others.
func split(all []rig.Attempt, at time.Time) (before, after []rig.Attempt) {
	for _, a := range all {
		if a.Begin.Add(a.Took).Before(at) {
			before = append(before, a)
		} else {
			after = append(after, a)
		}
	}
	return before, after
}

// judge holds what was measured, before the fault and from it on, against what must hold. On a machine on which more runs,
// only what the fault adds to the times counts, and none of it in a test run.
func (r *result) judge(before, attempts []rig.Attempt) {
	r.done = true
	r.run, r.p99, r.slowest = rig.LongestRun(attempts), rig.Quantile(attempts, 0.99), rig.Quantile(attempts, 1)
	r.before.p99, r.before.slowest = rig.Quantile(before, 0.99), rig.Quantile(before, 1)
	r.expect(rig.LongestRun(answered(before)) == 0, "requests failed before the fault")
	r.expect(r.lost == 0, "%d deliveries that were answered 2xx are lost", r.lost)
	r.expect(r.twice == 0, "%d deliveries are stored twice", r.twice)
	r.judgeFailures(attempts)
	if *all {
		r.expect(r.must.refused != "" || r.must.run < 0 || r.run <= r.must.run, "%d failures in a row", r.run)
		r.expect(r.must.p99 == 0 || r.p99-r.before.p99 <= r.must.p99, "p99 is %s", short(r.p99))
		r.expect(r.must.slowest == 0 || r.slowest-r.before.slowest <= r.must.slowest, "a request took %s", short(r.slowest))
	}
}

func (r *result) judgeFailures(attempts []rig.Attempt) {
	if r.must.refused == "" && r.must.run >= 0 {
		run := rig.LongestRun(answered(attempts))
		r.expect(run < suspended, "%d failures in a row: Zorio suspends the URL", run)
	}
	answers := map[string]int{}
	for _, a := range attempts {
		if a.Failed() {
			answers[a.Answer]++
			r.expect(strings.HasPrefix(a.Answer, r.must.refused) && (r.must.refused != "503" || a.Again != ""), "a failure: %s, Retry-After %q", a.Answer, a.Again)
		}
	}
	for _, answer := range slices.Sorted(maps.Keys(answers)) {
		r.note("%d × %s", answers[answer], answer)
	}
}

// answered are, in a test run, the attempts that were answered in time: others may be a busy machine's.
func answered(attempts []rig.Attempt) []rig.Attempt {
	if *all {
		return attempts
	}
	return slices.DeleteFunc(slices.Clone(attempts), func(a rig.Attempt) bool { return a.Took >= rig.AnswerWithin })
}

func (r *result) expect(holds bool, format string, args ...any) {
	if !holds && len(r.broken) < 5 {
		r.broken = append(r.broken, fmt.Sprintf(format, args...))
	}
}

func (r *result) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// lasts waits, because time is what is tested, while the load goes on.
func lasts(d time.Duration) { time.Sleep(d) }
