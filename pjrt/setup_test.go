package pjrt

import (
	"os"
	"testing"

	"scored/pjrt/wheel"
)

// testPluginEnv names another plugin file to run the tests with.
const testPluginEnv = "SCORED_TEST_PLUGIN"

// testPlugin is the path of the CPU plugin that the repository's own plugin folder
// holds.
func testPlugin(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(testPluginEnv); path != "" {
		return path
	}
	t.Setenv(wheel.LibraryPathEnv, "")
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("run `make setup` first: %v", err)
	}
	return path
}

// openTest opens the CPU plugin and closes it when the test is over, by when the test
// must have freed all it made.
func openTest(t testing.TB, options Options) *Plugin {
	t.Helper()
	p, err := Open(testPlugin(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}
