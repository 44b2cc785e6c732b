package wheel

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// pin says which bytes make up a plugin that can be fetched by name. A plugin is code
// that runs in this process, so nothing is fetched that is not pinned: neither the index
// nor the network is trusted.
type pin struct {
	name     string
	platform string  // GOOS/GOARCH
	wheels   []wheel // the plugin's own first, then what it loads, all unpacked into one folder
	folder   string  // that it is installed in; "" is the first wheel's name and version
	library  string  // the plugin's path in the wheel
	sha256   string  // of the library
}

// wheel is one file of a package index.
type wheel struct {
	name, version string
	tags          string // Python, ABI and platforms that it is for, as in its file's name
	size          int64  // bytes
	sha256        string
}

// file is the name of the wheel's file, as packaging.python.org defines it for wheels.
func (w wheel) file() string {
	return strings.ReplaceAll(w.name, "-", "_") + "-" + w.version + "-" + w.tags + ".whl"
}

// dir is the name of the folder that the plugin is installed in. It has the version, so
// another version is installed beside it and a running process keeps its own.
func (p pin) dir() string {
	return cmp.Or(p.folder, p.wheels[0].name+"-"+p.wheels[0].version)
}

// files are the names of the wheels' files.
func (p pin) files() []string {
	var files []string
	for _, w := range p.wheels {
		files = append(files, w.file())
	}
	return files
}

// verify returns an error unless the file is the pinned library.
func (p pin) verify(file string) error {
	digest, err := Digest(file)
	if err != nil {
		return err
	}
	if digest != p.sha256 {
		return fmt.Errorf("%s has sha256 %s instead of %s", path.Base(p.library), digest, p.sha256)
	}
	return nil
}

// pins lists what can be fetched.
func pins() []pin {
	cuda := cudaPin()
	return []pin{cpuPin(), tpuPin(), cuda, compilerOf(cuda)}
}

// CUDACompiler is the name of the CUDA plugin with only those wheels beside it that
// compiling for a card takes, a tenth of the size: see pjrt.OpenCard.
const CUDACompiler = "cuda-compiler"

// compilerOf returns the pin of CUDACompiler. Its folder is not the CUDA plugin's, which
// would else look complete without its libraries.
func compilerOf(cuda pin) pin {
	needs := []string{"jax-cuda13-pjrt", "nvidia-nvvm", "nvidia-cuda-nvcc"} // plugin, libdevice, ptxas
	cuda.folder = cuda.dir() + "-compiler"
	cuda.name = CUDACompiler
	cuda.wheels = slices.DeleteFunc(slices.Clone(cuda.wheels),
		func(w wheel) bool { return !slices.Contains(needs, w.name) })
	return cuda
}
