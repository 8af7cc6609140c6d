package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// headroom is how much garbage may lie about before it is collected, in bytes, beside what Go's own rule allows: as
// much as is in use. So little is in use here that the collector would run twenty times a second under load.
const headroom = 32 << 20

// calmCollector gives the collector headroom until release is called: bytes that count as in use, are never touched
// and so take no memory until garbage does. What a flood took is given back once it is over. GOGC or GOMEMLIMIT, where
// one is set, rules alone.
func calmCollector() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	untouched := make([]byte, headroom)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		giveBackWhenQuiet(quit)
	}()
	return func() {
		close(quit)
		<-ended
		runtime.KeepAlive(untouched)
	}
}

// Memory is given back when so much more is held than after the last time, and nothing was collected for so long. Go by
// itself collects again when twice as much is in use, or two minutes later, and keeps what it may need until then.
const (
	worthwhile = 2 * headroom
	quietFor   = 3 * time.Second
)

func giveBackWhenQuiet(quit <-chan struct{}) {
	look := time.NewTicker(quietFor)
	defer look.Stop()
	var left, collections uint64 // left is what was held after the last time
	for {
		select {
		case <-look.C:
		case <-quit:
			return
		}
		held, count := heldMemory()
		if count == collections && held > left+worthwhile {
			runtime.GC() // a pool lets go of what it has in the second collection
			debug.FreeOSMemory()
			left, count = heldMemory()
		}
		left, collections = min(left, held), count
	}
}

// heldMemory is what Go has of the system, in bytes, and how often it has collected.
func heldMemory() (held, collections uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64(), s[2].Value.Uint64()
}
