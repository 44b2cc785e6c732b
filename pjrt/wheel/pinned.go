package wheel

// The names, sizes and digests are those that PyPI gives for these versions, and the
// digest of the library inside.

const amd64 = "linux/amd64"

// cpuPin is XLA's CPU plugin, as built for jaxlib of the same version.
func cpuPin() pin {
	return pin{
		name: "cpu", platform: amd64,
		library: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
		sha256:  "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
		wheels: []wheel{
			{"lammps-jax-pjrt-cpu", "0.11.2", "py3-none-manylinux_2_27_x86_64",
				62711338, "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1"},
		},
	}
}

// tpuPin is Google's plugin for TPUs.
func tpuPin() pin {
	return pin{
		name: "tpu", platform: amd64,
		library: "libtpu/libtpu.so",
		sha256:  "f86de4d04a058e6b5101f73e0824b95f27e2cec996d2b9191d9cffda75c03077",
		wheels: []wheel{
			{"libtpu", "0.0.52", "cp312-cp312-manylinux_2_31_x86_64",
				137064515, "f76ab1f4d697c346371c50058796f6baa93317b89be8cf8a1012715a2655120d"},
		},
	}
}

// cudaPin is XLA's CUDA plugin, as built for jaxlib of the same version. Its wheel leaves
// NVIDIA's libraries to the other wheels, and finds them beside itself.
func cudaPin() pin {
	return pin{
		name: "cuda", platform: amd64,
		library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
		sha256:  "43d3efd6fd43d8a5d9aa67176e830d81e4ad5fc19fda4ad09cdcc4aebd9f3920",
		wheels: []wheel{
			{"jax-cuda13-pjrt", "0.11.2", "py3-none-manylinux_2_27_x86_64",
				134162640, "e5ff589d43064913bb74027682d89639c7ea48f9f81c2bae6fc75117e913f93e"},
			{"nvidia-cublas", "13.10.0.20", "py3-none-manylinux1_x86_64.manylinux_2_5_x86_64",
				444289903, "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84"},
			{"nvidia-cuda-cupti", "13.5.25", "py3-none-manylinux_2_25_x86_64",
				12592974, "9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650"},
			{"nvidia-cuda-nvcc", "13.5.37", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				47028279, "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7"},
			{"nvidia-cuda-runtime", "13.5.37", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				2504024, "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d"},
			{"nvidia-cudnn-cu13", "9.28.1.4", "py3-none-manylinux_2_27_x86_64",
				516817937, "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec"},
			{"nvidia-cufft", "12.5.0.14", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				165072555, "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad"},
			{"nvidia-cusolver", "12.4.1.2", "py3-none-manylinux_2_27_x86_64",
				260003940, "b3b8e02fd2f2df869369af075dc3a179d43f6f7b85e94632a7dce556697be044"},
			{"nvidia-cusparse", "12.9.4.2", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				230422857, "072667e58c851a318738f5527a12eb225cbf058803f2ea451c722d8cf8edddec"},
			{"nvidia-nccl-cu13", "2.32.3", "py3-none-manylinux_2_27_x86_64",
				305100071, "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3"},
			{"nvidia-nvjitlink", "13.5.37", "py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64",
				46642491, "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb"},
			{"nvidia-cuda-nvrtc", "13.5.37", "py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64",
				58185930, "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc"},
			{"nvidia-nvshmem-cu13", "3.8.0", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				182092449, "81a4d1f666543e6d34df6d2ff940c7da1435e34e186aab6f3c2b48861b64ef38"},
			{"nvidia-nvvm", "13.5.37", "py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64",
				75141406, "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070"},
			{"nvidia-cuda-cccl", "13.3.5.0.6", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				4113651, "d5230098fa2df5021e1a00c0c4eee41797671a91119d31e892463e5ccf3ee326"},
			{"nvidia-cuda-crt", "13.5.37", "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
				166163, "e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29"},
		},
	}
}
