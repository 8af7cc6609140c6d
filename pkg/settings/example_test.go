package settings_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/sluicehq/sluice/pkg/settings"
)

// crm are the settings of a consumer that calls a CRM.
type crm struct {
	URL     string         `env:"CRM_URL" required:"true" help:"address of the CRM"`
	Timeout time.Duration  `env:"CRM_TIMEOUT" envDefault:"5s" min:"100ms" max:"1m" help:"time limit of a call"`
	Room    settings.Bytes `env:"CRM_CACHE" envDefault:"64MiB" help:"size of the cache"`
}

// Main is all that a main function needs: it answers --help, --check and --version, and stops at SIGTERM.
func ExampleMain() {
	var s crm
	settings.Main("crm", "copies leads into the CRM", &s, func(ctx context.Context) error {
		fmt.Println("using", s.URL)
		<-ctx.Done()
		return nil
	})
}

// Every setting that is wrong is named, with what is allowed.
func ExampleLoad() {
	var s crm
	setenv("CRM_TIMEOUT", "1h")
	fmt.Println(settings.Load(&s))

	setenv("CRM_TIMEOUT", "10s")
	setenv("CRM_URL", "https://crm.example")
	fmt.Println(settings.Load(&s), s.URL, s.Timeout, s.Room)
	// Output:
	// CRM_URL is not set: address of the CRM
	// CRM_TIMEOUT="1h0m0s": use a duration such as 90s, 5m or 24h, from 100ms to 1m
	// <nil> https://crm.example 10s 64MiB
}

func setenv(name, value string) {
	if err := os.Setenv(name, value); err != nil {
		log.Fatal(err)
	}
}
