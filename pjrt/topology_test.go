package pjrt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// testTPUEnv names libtpu.so, which is too large to fetch for a test.
const testTPUEnv = "SCORED_TEST_LIBTPU"

func TestCompileForTopology(t *testing.T) {
	path := os.Getenv(testTPUEnv)
	if path == "" {
		t.Skipf("%s does not name libtpu.so", testTPUEnv)
	}
	var program, options []byte
	p := openTest(t, Options{Capture: func(_ string, code, opts []byte) {
		program, options = slices.Clone(code), slices.Clone(opts)
	}})
	square(t, p, "square", 256).Finalize()

	holdLock(t)
	dir := t.TempDir()
	topology, err := OpenTopology(path, "v6e:1x1", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer topology.Close()
	compiled, err := topology.Compile(program, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s for %q: %d bytes in %s, %+v", compiled.Name, topology.target.devices, len(compiled.Serialized), compiled.Took, compiled.Cost)
	const flops = 2 * 256 * 256 * 256
	if c := compiled.Cost; c.Flops < flops || c.Flops > 1.1*flops || c.ArgumentBytes != 256*256*4 || c.BytesAccessed <= 0 {
		t.Errorf("cost %+v, want %d flops", c, flops)
	}
	key := topology.target.key("mlir", program, options)
	if stored, err := testCache(t, dir, 0).get(key); err != nil || len(stored) != len(compiled.Serialized) || key.String() != compiled.Key {
		t.Errorf("cache holds %d bytes, %v", len(stored), err)
	}
	// A client on a TPU knows its version too, which must not matter, and names its device
	// as here.
	live := target{plugin: topology.target.plugin, platform: "tpu", version: "any", devices: []string{"TPU v6 lite"}}
	if live.key("mlir", program, options) != key {
		t.Errorf("target %+v has another key than that of a client, %+v", topology.target, live)
	}
	if compiled.Traffic <= 0 || compiled.Traffic > compiled.Cost.BytesAccessed {
		t.Errorf("traffic is %g bytes of %g accessed", compiled.Traffic, compiled.Cost.BytesAccessed)
	}
	if compiled.Cycles <= 0 {
		t.Error("the compiler's estimate of its cycles is missing")
	}
	var own *Error
	if _, err := topology.Compile([]byte("not a program"), options); !errors.As(err, &own) {
		t.Errorf("compiling nonsense: %v", err)
	}
}

func TestOpenTopologyRefuses(t *testing.T) {
	for _, test := range []struct{ path, name, want string }{
		{"none.so", "v6e", "malformed"},
		{"none.so", "v6e:0x1", "malformed"},
		{"none.so", "v6e:1x1", "does not exist"},
	} {
		if _, err := OpenTopology(test.path, test.name, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

const heldLockEnv = "SCORED_TEST_HELD_LOCK"

// TestHeldLock is a process that has the TPU: it holds libtpu's lock until its input
// ends. TestCompileForTopology starts it.
func TestHeldLock(t *testing.T) {
	path := os.Getenv(heldLockEnv)
	if path == "" {
		t.Skip("run by TestCompileForTopology")
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &lock); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
		t.Fatal(err) // else somebody else has it, which is as good
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// holdLock has another process hold libtpu's lock until the test ends.
func holdLock(t *testing.T) {
	t.Helper()
	holder := exec.Command(os.Args[0], "-test.run", "^TestHeldLock$")
	holder.Env = append(os.Environ(), heldLockEnv+"=/tmp/libtpu_lockfile") // its fixed place
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), holder.Wait()); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the holder of the lock says %q: %v", line, err)
	}
}
