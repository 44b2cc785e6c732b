package wheel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// LibraryPathEnv names folders of plugins, separated by colons, that are searched
// before anything is fetched.
const LibraryPathEnv = "PJRT_PLUGIN_LIBRARY_PATH"

// Options configure where plugins are kept and where they come from. The zero value
// works.
type Options struct {
	Folder   string       // where plugins are installed; "": PluginFolder()
	WheelDir string       // a folder of wheels, used before the network
	IndexURL string       // a package index in PyPI's simple format; "": $PIP_INDEX_URL, else PyPI
	Offline  bool         // never use the network
	Progress io.Writer    // a progress bar if it is a terminal, else a line every 5 s; nil: silence
	Client   *http.Client // nil: http.DefaultClient
	Logger   *slog.Logger // nil: silence

	stall time.Duration // a request that brings no byte for so long is given up; 0: 30 s
	retry time.Duration // time between two requests; 0: 1 s
}

// PluginFolder is where plugins are installed by default:
// $XDG_CACHE_HOME/scored/plugins or ~/.cache/scored/plugins.
func PluginFolder() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("plugin folder is unknown (%w): set XDG_CACHE_HOME or name a folder", err)
	}
	return filepath.Join(dir, "scored", "plugins"), nil
}

// Resolve returns the absolute path of a plugin's file. The name is a path, or one of
// cpu, cuda and tpu.
//
// A path must be that of a shared object for this machine. A name is looked for in the
// folders of PJRT_PLUGIN_LIBRARY_PATH, then in the plugin folder, and is fetched into
// the latter if it is in neither. What is there is used as it is: its digest is not
// checked again, because hashing it would delay each start by a second.
func Resolve(ctx context.Context, name string, o Options) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".so") {
		path, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		return path, Check(path)
	}
	pin, err := pinOf(name)
	if err != nil {
		return "", err
	}
	if path := onLibraryPath(name, pin); path != "" {
		return path, nil
	}
	return install(ctx, pin, o, func(path string) error {
		_, err := os.Stat(path)
		return err
	})
}

// Setup fetches the plugin cpu, cuda, tpu or [CUDACompiler] into the plugin folder,
// unless its library is there and has the pinned digest. It returns the library's path.
func Setup(ctx context.Context, name string, o Options) (string, error) {
	pin, err := pinOf(name)
	if err != nil {
		return "", err
	}
	return install(ctx, pin, o, pin.verify)
}

// pinOf returns the pin of a name on this platform. The error lists the names that this
// platform has.
func pinOf(name string) (pin, error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	var known []string
	for _, p := range pins() {
		if p.name == name && p.platform == platform {
			return p, nil
		}
		if p.platform == platform {
			known = append(known, p.name)
		}
	}
	if len(known) == 0 {
		return pin{}, fmt.Errorf("plugin %q cannot be fetched for %s: give the path of a PJRT "+
			"plugin built for it", name, platform)
	}
	return pin{}, fmt.Errorf("plugin %q is unknown: give the path of a .so, or one of %s", name,
		strings.Join(known, ", "))
}

// onLibraryPath looks in the folders of PJRT_PLUGIN_LIBRARY_PATH, in order, for the
// plugin under the names that go-xla and the wheels give it. It returns "" if it is in
// none of them.
func onLibraryPath(name string, p pin) string {
	names := []string{"pjrt_c_api_" + name + "_plugin.so", "pjrt-plugin-" + name + ".so",
		filepath.Base(p.library)}
	for _, dir := range filepath.SplitList(os.Getenv(LibraryPathEnv)) {
		for _, file := range names {
			path, err := filepath.Abs(filepath.Join(dir, file))
			if info, statErr := os.Stat(path); err == nil && statErr == nil && info.Mode().IsRegular() {
				return path
			}
		}
	}
	return ""
}

// install returns the path of the pinned library, and fetches it first if check returns
// an error for that path. Of several processes one fetches, under a lock on a file
// beside the target, and the others wait for it.
func install(ctx context.Context, p pin, o Options, check func(path string) error) (string, error) {
	folder := o.Folder
	if folder == "" {
		var err error
		if folder, err = PluginFolder(); err != nil {
			return "", err
		}
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	target := filepath.Join(folder, p.dir())
	path := filepath.Join(target, filepath.FromSlash(p.library))
	if check(path) == nil {
		return path, nil
	}
	if o.Offline && o.WheelDir == "" {
		return "", fmt.Errorf("plugin %s is not in %s, and fetching is off: run without offline "+
			"once, or give a folder that has the wheels %s",
			p.name, folder, strings.Join(p.files(), ", "))
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("plugin folder: %w", err)
	}
	lock := flock.New(filepath.Join(folder, "."+p.dir()+".lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("plugin folder %s cannot be locked: %w", folder, err)
	}
	defer func() { _ = lock.Unlock() }()
	if check(path) == nil { // another process was faster
		return path, nil
	}
	if err := fetchAndUnpack(ctx, p, folder, target, o); err != nil {
		return "", fmt.Errorf("plugin %s cannot be installed: %w", p.name, err)
	}
	return path, nil
}

// fetchAndUnpack puts the contents of the pin's wheels, side by side as in a Python
// installation, into the target folder. The folder appears by a rename when all of it is
// there and checked, so a process that is killed leaves no half plugin. The lock of
// install must be held: the folder of parts has a fixed name.
func fetchAndUnpack(ctx context.Context, p pin, folder, target string, o Options) (err error) {
	staging := filepath.Join(folder, "part-"+p.dir())
	if err := os.RemoveAll(staging); err != nil { // what a killed process has left
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	for _, w := range p.wheels {
		file, done, err := fetchWheel(ctx, w, folder, o)
		if err != nil {
			return err
		}
		if err := unpack(ctx, file, staging); err != nil {
			return fmt.Errorf("wheel %s: %w", w.file(), err)
		}
		if err := done(); err != nil {
			return err
		}
	}
	if err := p.verify(filepath.Join(staging, filepath.FromSlash(p.library))); err != nil {
		return err
	}
	// The folder at the target, if any, failed the check of install.
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.Rename(staging, target)
}

// fetchWheel returns the path of a wheel that has the pinned digest, from the folder of
// wheels or else from the index. The caller must call done when it has unpacked the
// wheel: it removes one that was downloaded, and keeps the user's own.
func fetchWheel(ctx context.Context, w wheel, folder string, o Options) (path string,
	done func() error, err error) {
	if o.WheelDir != "" {
		path := filepath.Join(o.WheelDir, w.file())
		switch digest, err := Digest(path); {
		case err == nil && digest == w.sha256:
			return path, func() error { return nil }, nil
		case err == nil:
			return "", nil, fmt.Errorf("wheel %s has sha256 %s instead of %s: remove it", path,
				digest, w.sha256)
		case !errors.Is(err, os.ErrNotExist):
			return "", nil, err
		case o.Offline:
			return "", nil, fmt.Errorf("wheel %s is missing, and fetching is off: put it there", path)
		}
	}
	path = filepath.Join(folder, w.file()+".part")
	if err := download(ctx, w, path, o); err != nil {
		return "", nil, err
	}
	return path, func() error { return os.Remove(path) }, nil
}
