package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// teams are the consumers that are run.
var teams = []string{"pbx", "telesales", "autocall"}

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run the gateway, the consumers " + strings.Join(teams, ", ") + " and the console together on this machine", Args: cobra.NoArgs,
		Example: "  sluicectl run",
		RunE:    func(c *cobra.Command, _ []string) error { return run(c.Context(), c.OutOrStdout()) },
	}
}

// stopWithin is how long a process may take to stop before it is killed.
const stopWithin = 12 * time.Second

// run starts everything where the addresses are free, and ends when ctx does, or with an error when one of the processes
// has ended by itself.
func run(ctx context.Context, out io.Writer) error {
	if err := addressesFree(); err != nil {
		return err
	}
	environment, err := sharedEnvironment(out)
	if err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	r := &runner{bin: filepath.Dir(executable), out: out, ended: make(chan error, 2+len(teams))}
	if err := r.everything(ctx, environment); ctx.Err() == nil {
		return err
	}
	return nil
}

// everything starts the gateway, then the consumers, says where they are, and stops the consumers before the gateway, in
// which NATS runs.
func (r *runner) everything(ctx context.Context, environment []string) error {
	r.say("starting the gateway, then the consumers " + strings.Join(teams, ", ") + ", and the console")
	gateway, err := r.start("gateway", cmp.Or(os.Getenv("SLUICE_ADMIN"), defaultAdmin), environment)
	if err != nil {
		return err
	}
	defer stopAll(gateway)
	if err := r.waitReady(ctx, gateway); err != nil {
		return err
	}
	consumers, err := r.startConsumers(ctx, environment)
	defer stopAll(consumers...)
	if err != nil {
		return err
	}
	console, err := r.startConsole(ctx, environment)
	defer stopAll(console...)
	if err != nil {
		return err
	}
	r.say(whereEverythingIs(console[0], append([]*child{gateway}, consumers...)))
	return r.wait(ctx)
}

// startConsumers returns those that it started, and when all of them are ready. They are given the gateway's NATS once
// our own gateway is ready, and so never join somebody else's.
func (r *runner) startConsumers(ctx context.Context, environment []string) (started []*child, err error) {
	for n, name := range teams {
		admin, err := consumerAdmin(n)
		if err != nil {
			return started, err
		}
		c, err := r.start(name, admin, append(slices.Clone(environment), "SLUICE_ADMIN="+admin, "NATS_URL="+hubURL()))
		if err != nil {
			return started, err
		}
		started = append(started, c)
	}
	for _, c := range started {
		if err := r.waitReady(ctx, c); err != nil {
			return started, err
		}
	}
	return started, nil
}

// startConsole returns it, as far as it was started, and when it is ready.
func (r *runner) startConsole(ctx context.Context, environment []string) (started []*child, err error) {
	listen, err := consoleAddress()
	if err != nil {
		return nil, err
	}
	own := []string{"SLUICE_CONSOLE_LISTEN=" + listen, "NATS_URL=" + hubURL()}
	if url := webhookURL(); os.Getenv("SLUICE_CONSOLE_GATEWAY") == "" && checkURL(url) == nil { // where there is a socket, test events come from elsewhere
		own = append(own, "SLUICE_CONSOLE_GATEWAY="+url)
	}
	c, err := r.start("console", listen, append(slices.Clone(environment), own...))
	if err != nil {
		return nil, err
	}
	return []*child{c}, r.waitReady(ctx, c)
}

func sharedEnvironment(out io.Writer) ([]string, error) {
	environment := os.Environ()
	if secretIsSet() {
		return environment, nil
	}
	secret, made, err := makeSecret()
	if err != nil {
		return nil, fmt.Errorf("cannot keep a secret in the data folder: %w: set SLUICE_DATA to a folder that this user may write", err)
	}
	if made {
		fmt.Fprintf(out, "generated a webhook secret, saved in %s; set %s to use the one from Zorio's console\n", secretFile(), secretVariable)
	}
	return append(environment, secretVariable+"="+secret), nil
}

type runner struct {
	bin   string
	mu    sync.Mutex // lines of several processes do not mix
	out   io.Writer
	ended chan error
}

// child is a process of ours in a process group of its own, so that a Ctrl-C reaches it through us alone.
type child struct {
	name, admin string
	cmd         *exec.Cmd
	done        chan struct{}
}

func (r *runner) start(name, admin string, environment []string) (*child, error) {
	cmd := exec.Command(filepath.Join(r.bin, name))
	cmd.Env = environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	neverOrphaned(cmd.SysProcAttr)
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w: `make build` makes it", name, err)
	}
	_ = write.Close() // the child has its own
	c := &child{name: name, admin: admin, cmd: cmd, done: make(chan struct{})}
	go func() {
		r.copyLines(name, read)
		_ = cmd.Wait() // the state says more
		close(c.done)
		r.ended <- fmt.Errorf("%s has ended by itself (%s): see its last lines above", name, cmd.ProcessState)
	}()
	return c, nil
}

func (r *runner) copyLines(name string, from io.ReadCloser) {
	defer from.Close()
	for lines := bufio.NewScanner(from); lines.Scan(); {
		r.say(fmt.Sprintf("%-9s | %s", name, lines.Text()))
	}
}

func (r *runner) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.out, line)
}

// waitReady waits until a process of ours says that it is ready. What another says at that address counts for nothing.
func (r *runner) waitReady(ctx context.Context, c *child) error {
	for !c.isReady(ctx) {
		select {
		case err := <-r.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func (c *child) isReady(ctx context.Context) bool {
	said, err := telemetry.Ask(ctx, reachable(c.admin), "") // the status is told without a token
	return err == nil && said.PID == c.cmd.Process.Pid && said.Works()
}

func (r *runner) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		r.say("stopping")
		return nil
	case err := <-r.ended:
		return err
	}
}

// stopAll asks processes to stop, and kills one that does not.
func stopAll(children ...*child) {
	for _, c := range children {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	for _, c := range children {
		select {
		case <-c.done:
		case <-time.After(stopWithin):
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	}
}
