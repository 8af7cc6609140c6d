package rig

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// Example starts servers for an example, which has no [testing.T]: it is one in a test's stead, and panics where a test
// would fail.
type Example struct {
	testing.TB // nil: what is not below is not for examples
	ends       []func()
}

// End ends what was started.
func (e *Example) End() {
	for _, end := range slices.Backward(e.ends) {
		end()
	}
}

// Helper implements [testing.TB], as what follows does.
func (e *Example) Helper() {}

// Cleanup has a function called at the end.
func (e *Example) Cleanup(end func()) { e.ends = append(e.ends, end) }

// Context is never done.
func (e *Example) Context() context.Context { return context.Background() }

// Failed is false: one that failed has panicked.
func (e *Example) Failed() bool { return false }

// Fatal panics.
func (e *Example) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Fatalf panics.
func (e *Example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// TempDir is a folder that is removed at the end.
func (e *Example) TempDir() string {
	dir, err := os.MkdirTemp("", "sluice-example-")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
