//go:build !race

package rig

// Race says that the race detector is in the test, which then takes several times as long.
const Race = false
