// sluicectl is the operator's command.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

func main() {
	root, reached := newRoot()
	err := root.ExecuteContext(telemetry.StopContext())
	if err != nil {
		fmt.Fprintf(os.Stderr, "sluicectl: %v\n", err)
	}
	os.Exit(exitCode(err, *reached))
}

// newRoot makes the command line. What reached points to becomes true when a command was understood and begins.
func newRoot() (root *cobra.Command, reached *bool) {
	reached = new(bool)
	root = &cobra.Command{
		Use: "sluicectl", Short: "See, test and mend Sluice", Long: "See, test and mend Sluice.\n\n" + exitCodes, Version: telemetry.Version(),
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) { *reached = true },
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // files only where one is wanted
	root.AddCommand(
		sendCommand(), tailCommand(), traceCommand(), verifyCommand(),
		teamsCommand(), statsCommand(), deadCommand(), replayCommand(), quarantineCommand(), refusedCommand(),
		runCommand(), readyCommand(), doctorCommand(), auditCommand(),
	)
	return root, reached
}
