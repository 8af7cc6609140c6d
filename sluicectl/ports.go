package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Where a gateway listens unless it is told otherwise, beside defaultAdmin.
const (
	defaultListen = ":3000"
	defaultHub    = "127.0.0.1:4222"
)

// addressesFree is an error when somebody has an address that the gateway is to have, and names who. Whatever else may
// be wrong with an address the gateway says itself.
func addressesFree() error {
	addresses := [][2]string{{"SLUICE_LISTEN", defaultListen}, {"SLUICE_ADMIN", defaultAdmin}}
	if os.Getenv("NATS_URL") == "" {
		addresses = append(addresses, [2]string{"SLUICE_HUB_LISTEN", defaultHub})
	}
	var taken []string
	for _, a := range addresses {
		address := cmp.Or(os.Getenv(a[0]), a[1])
		if probe, err := net.Listen("tcp", address); err == nil {
			_ = probe.Close()
		} else if errors.Is(err, syscall.EADDRINUSE) {
			taken = append(taken, fmt.Sprintf("%s (%s) by %s", address, a[0], holder(address)))
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return fmt.Errorf("these addresses are in use: %s: stop what is there (a `make run` elsewhere with Ctrl-C), or set these variables to other addresses, and SLUICE_DATA to another folder",
		strings.Join(taken, ", "))
}

// defaultConsole is where the console listens unless it is told otherwise.
const defaultConsole = "127.0.0.1:3002"

// consoleAddress is the one that is set, or the default, or any free one where that is in use or the gateway's is chosen.
func consoleAddress() (string, error) {
	if set := os.Getenv("SLUICE_CONSOLE_LISTEN"); set != "" {
		return set, nil
	}
	if os.Getenv("SLUICE_ADMIN") == "" {
		if probe, err := net.Listen("tcp", defaultConsole); err == nil {
			return defaultConsole, probe.Close()
		}
	}
	return freeAddress(0)
}

// firstConsumerAdmin is the port of the first consumer's admin address. The others follow it.
const firstConsumerAdmin = 3011

// consumerAdmin is an address for the metrics of the nth consumer: a fixed one where the gateway has its default too,
// so that a Prometheus finds it again, and any free one where that is in use or the gateway's is chosen.
func consumerAdmin(n int) (string, error) {
	if os.Getenv("SLUICE_ADMIN") == "" {
		if fixed, err := freeAddress(firstConsumerAdmin + n); err == nil {
			return fixed, nil
		}
	}
	return freeAddress(0)
}

// freeAddress is one that nobody listens on now; port 0 is any.
func freeAddress(port int) (string, error) {
	probe, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", err
	}
	return probe.Addr().String(), probe.Close()
}
