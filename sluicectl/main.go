// sluicectl is the operator's command.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

func main() {
	root, reached := newRoot()
	err := execute(telemetry.StopContext(), root, reached)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sluicectl: %v\n", err)
	}
	os.Exit(exitCode(err, *reached))
}

// execute runs a command line. What was not understood is an error that names the help.
func execute(ctx context.Context, root *cobra.Command, reached *bool) error {
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !*reached && !strings.HasSuffix(err.Error(), "\n") { // after which cobra says what was meant
		return fmt.Errorf("%w: see %s --help", err, c.CommandPath())
	}
	return err
}

// newRoot makes the command line. What reached points to becomes true when a command was understood and begins.
func newRoot() (root *cobra.Command, reached *bool) {
	reached = new(bool)
	root = &cobra.Command{
		Use: "sluicectl", Short: "Watch, test and repair Sluice", Long: "Watch, test and repair Sluice.\n\n" + exitCodes, Version: telemetry.Version(),
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) { *reached = true },
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // files only where one is wanted
	root.AddCommand(
		sendCommand(), tailCommand(), traceCommand(), searchCommand(), verifyCommand(),
		teamsCommand(), statsCommand(), deadCommand(), replayCommand(), quarantineCommand(), refusedCommand(),
		runCommand(), readyCommand(), doctorCommand(), auditCommand(), migrateCommand(),
	)
	return root, reached
}
