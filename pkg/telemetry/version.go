package telemetry

import "runtime/debug"

// version is stamped by the linker: -X github.com/sluicehq/sluice/pkg/telemetry.version=…
var version string

// Version is what this binary was built from.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}
