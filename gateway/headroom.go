package main

import (
	"os"
	"runtime"
)

// headroom is how much garbage may lie about before it is collected, in bytes, beside what Go's own rule allows: as
// much as is in use. So little is in use here that the collector would run twenty times a second under load.
const headroom = 32 << 20

// calmCollector gives the collector headroom until release is called: bytes that count as in use, are never touched
// and so take no memory until garbage does. GOGC or GOMEMLIMIT, where one is set, rules alone.
func calmCollector() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	untouched := make([]byte, headroom)
	return func() { runtime.KeepAlive(untouched) }
}
