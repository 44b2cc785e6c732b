package wheel

import (
	"cmp"
	"fmt"
	"path"
	"slices"
)

// pin says which bytes make up a plugin that can be fetched by name.
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
	file          string
	size          int64
	sha256        string
}

// dir is the folder that the plugin is installed in.
func (p pin) dir() string {
	return cmp.Or(p.folder, p.wheels[0].name+"-"+p.wheels[0].version)
}

func (p pin) files() []string {
	var files []string
	for _, w := range p.wheels {
		files = append(files, w.file)
	}
	return files
}

// verify refuses a library that is not the pinned one.
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

// pins lists what can be fetched. The CPU plugin is XLA's as built for jaxlib of the same version, and so is the CUDA
// one, whose wheel leaves the libraries of NVIDIA to others: it finds them beside itself.
func pins() []pin {
	all := devicePins()
	for _, p := range all {
		if p.name == "cuda" {
			all = append(all, compilerOf(p))
		}
	}
	return all
}

// CUDACompiler is the name of the CUDA plugin with no more beside it than compiling for a card takes, of a tenth of the
// size: see OpenCard.
const CUDACompiler = "cuda-compiler"

func compilerOf(cuda pin) pin {
	needs := []string{"jax-cuda13-pjrt", "nvidia-nvvm", "nvidia-cuda-nvcc"} // the plugin, libdevice, ptxas
	cuda.folder = cuda.dir() + "-compiler"
	cuda.name = CUDACompiler
	cuda.wheels = slices.DeleteFunc(slices.Clone(cuda.wheels), func(w wheel) bool { return !slices.Contains(needs, w.name) })
	return cuda
}

func devicePins() []pin {
	const platform = "linux/amd64"
	return []pin{
		{
			name: "cpu", platform: platform,
			library: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
			sha256:  "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
			wheels: []wheel{
				{name: "lammps-jax-pjrt-cpu", version: "0.11.2", file: "lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl", size: 62711338, sha256: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1"},
			},
		},
		{
			name: "tpu", platform: platform,
			library: "libtpu/libtpu.so",
			sha256:  "f86de4d04a058e6b5101f73e0824b95f27e2cec996d2b9191d9cffda75c03077",
			wheels: []wheel{
				{name: "libtpu", version: "0.0.52", file: "libtpu-0.0.52-cp312-cp312-manylinux_2_31_x86_64.whl", size: 137064515, sha256: "f76ab1f4d697c346371c50058796f6baa93317b89be8cf8a1012715a2655120d"},
			},
		},
		{
			name: "cuda", platform: platform,
			library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
			sha256:  "43d3efd6fd43d8a5d9aa67176e830d81e4ad5fc19fda4ad09cdcc4aebd9f3920",
			wheels: []wheel{
				{name: "jax-cuda13-pjrt", version: "0.11.2", file: "jax_cuda13_pjrt-0.11.2-py3-none-manylinux_2_27_x86_64.whl", size: 134162640, sha256: "e5ff589d43064913bb74027682d89639c7ea48f9f81c2bae6fc75117e913f93e"},
				{name: "nvidia-cublas", version: "13.10.0.20", file: "nvidia_cublas-13.10.0.20-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl", size: 444289903, sha256: "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84"},
				{name: "nvidia-cuda-cupti", version: "13.5.25", file: "nvidia_cuda_cupti-13.5.25-py3-none-manylinux_2_25_x86_64.whl", size: 12592974, sha256: "9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650"},
				{name: "nvidia-cuda-nvcc", version: "13.5.37", file: "nvidia_cuda_nvcc-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 47028279, sha256: "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7"},
				{name: "nvidia-cuda-runtime", version: "13.5.37", file: "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 2504024, sha256: "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d"},
				{name: "nvidia-cudnn-cu13", version: "9.28.1.4", file: "nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl", size: 516817937, sha256: "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec"},
				{name: "nvidia-cufft", version: "12.5.0.14", file: "nvidia_cufft-12.5.0.14-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 165072555, sha256: "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad"},
				{name: "nvidia-cusolver", version: "12.4.1.2", file: "nvidia_cusolver-12.4.1.2-py3-none-manylinux_2_27_x86_64.whl", size: 260003940, sha256: "b3b8e02fd2f2df869369af075dc3a179d43f6f7b85e94632a7dce556697be044"},
				{name: "nvidia-cusparse", version: "12.9.4.2", file: "nvidia_cusparse-12.9.4.2-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 230422857, sha256: "072667e58c851a318738f5527a12eb225cbf058803f2ea451c722d8cf8edddec"},
				{name: "nvidia-nccl-cu13", version: "2.32.3", file: "nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_x86_64.whl", size: 305100071, sha256: "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3"},
				{name: "nvidia-nvjitlink", version: "13.5.37", file: "nvidia_nvjitlink-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl", size: 46642491, sha256: "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb"},
				{name: "nvidia-cuda-nvrtc", version: "13.5.37", file: "nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl", size: 58185930, sha256: "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc"},
				{name: "nvidia-nvshmem-cu13", version: "3.8.0", file: "nvidia_nvshmem_cu13-3.8.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 182092449, sha256: "81a4d1f666543e6d34df6d2ff940c7da1435e34e186aab6f3c2b48861b64ef38"},
				{name: "nvidia-nvvm", version: "13.5.37", file: "nvidia_nvvm-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl", size: 75141406, sha256: "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070"},
				{name: "nvidia-cuda-cccl", version: "13.3.5.0.6", file: "nvidia_cuda_cccl-13.3.5.0.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 4113651, sha256: "d5230098fa2df5021e1a00c0c4eee41797671a91119d31e892463e5ccf3ee326"},
				{name: "nvidia-cuda-crt", version: "13.5.37", file: "nvidia_cuda_crt-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", size: 166163, sha256: "e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29"},
			},
		},
	}
}
