// sluicectl is the operator's command.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

func main() {
	root := &cobra.Command{
		Use: "sluicectl", Short: "Send test events to Sluice, and run it on one machine", Version: telemetry.Version(),
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(sendCommand(), runCommand(), readyCommand())
	if err := root.ExecuteContext(telemetry.StopContext()); err != nil {
		fmt.Fprintf(os.Stderr, "sluicectl: %v\n", err)
		os.Exit(1)
	}
}
