package telemetry

import "runtime/debug"

// version is stamped by the linker: -X github.com/sluicehq/sluice/pkg/telemetry.version=…
var version string

// Version is what this binary was built from: the git tag or commit that make stamps, "dev" outside of a git checkout. A
// binary of another module has that module's version, as Go knows it.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}
