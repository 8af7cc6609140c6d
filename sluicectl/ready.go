package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
)

const defaultAdmin = "127.0.0.1:3001"

func readyCommand() *cobra.Command {
	admin := cmp.Or(os.Getenv("SLUICE_ADMIN"), defaultAdmin)
	c := &cobra.Command{
		Use: "ready", Short: "Exit with 0 if a gateway or consumer is ready, print what is wrong if not", Args: cobra.NoArgs,
		Example: "  sluicectl ready\n  sluicectl ready --admin 127.0.0.1:3001",
		RunE:    func(c *cobra.Command, _ []string) error { return ready(admin, c.OutOrStdout()) },
	}
	c.Flags().StringVar(&admin, "admin", admin, "admin address of the process (SLUICE_ADMIN)")
	return c
}

// ready asks a process's /readyz. It is what containers use as their health check.
func ready(admin string, out io.Writer) error {
	client := http.Client{Timeout: 3 * time.Second}
	answer, err := client.Get("http://" + admin + "/readyz")
	if err != nil {
		return fmt.Errorf("nothing answers at %s: %w: start it, or set SLUICE_ADMIN to its address", admin, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(out, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready: see above what to do", admin)
	}
	return nil
}
