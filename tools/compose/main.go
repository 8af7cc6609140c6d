// compose reads compose files, the later ones over the first, as docker compose does, with all their profiles unless it is
// told which, and prints the project as JSON. It is a program of its own so that the library weighs on the tests alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	dotenv := flag.String("env-file", "", "file in the place of .env")
	profile := flag.String("profile", "*", "what is started beside the services without a profile; * is everything")
	flag.Parse()
	if err := run(*dotenv, *profile, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		os.Exit(1)
	}
}

func run(dotenv, profile string, files []string) error {
	with := []cli.ProjectOptionsFn{cli.WithProfiles([]string{profile}), cli.WithEnvFiles(dotenv), cli.WithDotEnv}
	options, err := cli.NewProjectOptions(files, with...)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	text, err := project.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
