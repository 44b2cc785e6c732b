package main

import (
	"flag"

	"scored/sglang/launch"
)

// serveFlags defines the flags of scored serve over the fields, whose values are their
// defaults: our own, then those of sglang-jax that we do not have, and its aliases.
// Names and defaults are sglang-jax's where it has the flag.
func (c *config) serveFlags(f *flag.FlagSet) {
	c.modelFlags(f)
	c.serverFlags(f)
	c.engineFlags(f)
	launch.Add(f)
	for alias, name := range launch.Aliases() {
		f.Var(f.Lookup(name).Value, alias, "")
	}
}

// modelFlags defines which model is loaded, and from where. All of them are part of what
// scored batch holds a resumed run to: answers depend on them. --lora is not sglang-jax's
// --lora-paths, which names adapters for requests to choose from.
func (c *config) modelFlags(f *flag.FlagSet) {
	f.StringVar(&c.ModelPath, "model-path", "", "Hugging Face id or local folder of a Qwen3, Qwen2 "+
		"or Llama checkpoint, a language model or a classifier (required)")
	f.Var((*folders)(&c.LoRA), "lora", "`folder` of a LoRA adapter in PEFT's format, merged into "+
		"the weights; may be given several times")
	f.StringVar(&c.TokenizerPath, "tokenizer-path", "",
		"folder of tokenizer.json (default: the model's)")
	f.StringVar(&c.ServedModelName, "served-model-name", "",
		"name shown in /v1/models (default: the model path)")
	f.StringVar(&c.LoadFormat, "load-format", c.LoadFormat,
		"auto reads safetensors; dummy generates weights from --random-seed")
	f.BoolVar(&c.DummyFallback, "dummy-fallback", false,
		"where the hub cannot be reached, serve the Qwen3-0.6B shape with generated weights")
	f.StringVar(&c.DummyTokenizer, "dummy-tokenizer", "", "tokenizer folder for generated weights")
	f.StringVar(&c.Revision, "revision", c.Revision, "revision of the model on the hub")
	f.StringVar(&c.DownloadDir, "download-dir", "", "where the hub's files are kept (default: the "+
		"hub's own cache)")
	f.BoolVar(&c.Offline, "offline", false, "never use the network")
	f.Uint64Var(&c.RandomSeed, "random-seed", c.RandomSeed, "seed of generated weights")
}

// serverFlags defines what concerns clients: the address, keys, limits and logs. The
// defaults of host, port and CORS are sglang-jax's. --profile-emulate-peer is an old name
// of its behaviour, and stays for launch lines that have it.
func (c *config) serverFlags(f *flag.FlagSet) {
	f.StringVar(&c.Host, "host", c.Host, "address to listen on")
	f.IntVar(&c.Port, "port", c.Port, "port to listen on; 0 picks a free one")
	f.StringVar(&c.APIKey, "api-key", "", "`key` that requests must bring as Bearer key")
	f.StringVar(&c.APIKeyFile, "api-key-file", "",
		"`file` of further keys, one a line, or sha256:HASH of one, each with a name after it if you "+
			"like; read again on SIGHUP")
	f.BoolVar(&c.CacheSaltByKey, "cache-salt-by-key", false,
		"share cached prompts among requests of one API key alone")
	f.BoolVar(&c.KeylessPing, "keyless-ping", false,
		"/ping needs no key, as SageMaker's probes bring none")
	f.StringVar(&c.CORSOrigins, "cors-origins", c.CORSOrigins,
		"origins that browsers may call from, comma separated")
	f.StringVar(&c.Sampling, "preferred-sampling-params", "",
		"JSON shown in /get_model_info; a temperature must be 1")
	f.BoolVar(&c.StrictEmptyItems, "strict-empty-items", false,
		"answer 400 to items [] instead of scores []")
	c.templateFlags(f)
	c.limitFlags(f)
	f.DurationVar(&c.DrainTimeout, "drain-timeout", c.DrainTimeout,
		"how long a stop waits for admitted requests")
	f.BoolVar(&c.EnableMetrics, "enable-metrics", false, "serve /metrics")
	f.StringVar(&c.OTLPEndpoint, "otlp-endpoint", "",
		"send a trace of each request to this OTLP/HTTP collector, e.g. http://localhost:4318")
	c.logLevelFlag(f)
	f.StringVar(&c.LogLevelHTTP, "log-level-http", "",
		"the same for the access log (default: --log-level)")
	f.StringVar(&c.ProfileRoot, "profile-root", "", "confine profiles to this folder (default: any "+
		"folder a client names)")
	f.BoolVar(&c.ProfileEmulate, "profile-emulate-peer", false,
		"profile N-1 of N steps and answer 500 to faults, as sglang-jax does")
}

// limitFlags defines the bounds of requests: how many, how large and how long. What is
// beyond one is refused with the status that its text names. scored batch takes those
// that bound a single request.
func (c *config) limitFlags(f *flag.FlagSet) {
	f.IntVar(&c.MaxQueue, "max-queue", c.MaxQueue, "items admitted at once; more get 503")
	f.IntVar(&c.MaxTokens, "max-held-tokens", c.MaxTokens,
		"prompt tokens held at once, of waiting rows and of those being tokenized; more get 503, one "+
			"request with more gets 413")
	f.Var((*launch.Seconds)(&c.MaxBacklog), "max-backlog-seconds",
		"requests get 503 that are predicted to be answered later than after these `seconds`, with a "+
			"Retry-After by the same prediction; 0 is no bound")
	f.IntVar(&c.MaxLabels, "max-labels", c.MaxLabels, "distinct labels of a request, or tokens of "+
		"its labels with label_mode sequence; more get 400")
	f.IntVar(&c.MaxScores, "max-scores", c.MaxScores,
		"numbers in an answer, items times labels; more get 413")
	f.IntVar(&c.MaxClientRequests, "max-client-requests", 0,
		"requests in hand of one client (X-Client-Id, else its address); more get 429; 0 is no limit")
	f.Int64Var(&c.MaxBody, "max-body", c.MaxBody, "largest request body in bytes")
	f.Int64Var(&c.MaxHeld, "max-held-bytes", c.MaxHeld,
		"bytes of the bodies of all requests in hand, zipped and unzipped; more get 503")
	f.DurationVar(&c.BodyTimeout, "body-timeout", c.BodyTimeout,
		"how long a request's body may take to arrive")
	f.DurationVar(&c.WriteTimeout, "write-timeout", c.WriteTimeout,
		"how long a client may read nothing of its answer; 0 is for ever")
	f.DurationVar(&c.RequestTimeout, "request-timeout", 0,
		"how long a request may take; 0 is for ever")
	f.Var((*launch.Seconds)(&c.Watchdog), "watchdog-timeout",
		"a step that runs longer than these `seconds` turns readiness red")
}

// logLevelFlag is a flag of every command with a model: sglang-jax has it for its server.
func (c *config) logLevelFlag(f *flag.FlagSet) {
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
}

// templateFlags defines what texts are put into before they are scored.
func (c *config) templateFlags(f *flag.FlagSet) {
	f.StringVar(&c.Template, "template", "", "put texts to be scored into this template: qwen3, "+
		"qwen3-thinking, llama3, or a `file` with {query} and {item} in it")
	f.StringVar(&c.TemplateSystem, "template-system", "",
		"system prompt of a template that has a name")
}

// engineFlags defines what concerns the device and the steps on it. f becomes set, by
// which mostTokens knows what has been given. None of them changes a score by more than
// rounding, but for --dtype and what is cut by --allow-auto-truncate.
func (c *config) engineFlags(f *flag.FlagSet) {
	c.set = f
	f.StringVar(&c.Device, "device", "", "cpu, cuda or tpu (default: JAX_PLATFORMS, else cpu)")
	f.IntVar(&c.Replicas, "dp-size", c.Replicas, "devices to serve on, each with a replica of the "+
		"model")
	f.StringVar(&c.Plugin, "plugin", "", "path of a PJRT plugin (default: found or fetched for "+
		"--device)")
	f.StringVar(&c.PluginDir, "plugin-dir", "", "where plugins are installed (default: the user's "+
		"cache folder)")
	c.shapeFlags(f)
	f.BoolVar(&c.AllowTruncate, "allow-auto-truncate", false,
		"cut prompts that are too long instead of refusing them")
	f.IntVar(&c.ChunkedPrefill, "chunked-prefill-size", c.ChunkedPrefill,
		"most tokens of a step, where it is given and --buckets is not: larger shapes are left out; -1 "+
			"is no bound")
	f.IntVar(&c.MaxTotalTokens, "max-total-tokens", 0,
		"bound of the prefix tokens kept on the device, beside --prefix-cache-bytes; 0 is none")
	f.StringVar(&c.CompileCache, "compile-cache", "", "folder that keeps compiled programs between "+
		"starts (default: JAX_COMPILATION_CACHE_DIR, else none)")
	f.StringVar(&c.Price, "price", "", "`file` of scored calibrate: what steps take on this device "+
		"(default: the target's own row)")
	f.Int64Var(&c.PrefixCacheBytes, "prefix-cache-bytes", c.PrefixCacheBytes,
		"bound of the prefix keys and values kept on the device (-1: 1 GiB, on a GPU half of what "+
			"weights and steps leave free)")
}

// shapeFlags defines the flags that all commands that form or compile steps have alike.
func (c *config) shapeFlags(f *flag.FlagSet) {
	f.StringVar(&c.DType, "dtype", c.DType, "dtype of the weights: auto, float32 or bfloat16")
	f.IntVar(&c.ContextLength, "context-length", 0, "longest prompt plus one token (default: the "+
		"model's)")
	f.StringVar(&c.Buckets, "buckets", "", "step shapes as TOKENSxROWSxLENGTHxPREFIX, comma "+
		"separated (default: chosen for the model)")
	f.IntVar(&c.MaxPrefill, "max-prefill-tokens", c.MaxPrefill, "another such bound")
	f.StringVar(&c.Attention, "attention-backend", c.Attention,
		"on a TPU or GPU, fa attends by kernels where there are any for the model, native never; on a "+
			"CPU it is native")
}
