package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// variables are what sglang-jax takes from the environment and has no flag for.
type variables struct {
	profilerDir    string
	healthTimeout  time.Duration
	forceShutdown  bool
	noDocs         bool
	longerContexts bool

	healthRoute, predictRoute string // Vertex AI's; "": none
}

// readVariables reads the peer's environment. A flag, or SCORED_<FLAG>, wins over it. Those not named here concern
// libraries that this server does not use; HF_HOME, HF_TOKEN and HF_ENDPOINT are read where the hub is.
func (c *config) readVariables(env lookup) error {
	r := variableReader{env: env}
	text := func(name, otherwise string) string {
		value, _ := env(name)
		return cmp.Or(value, otherwise)
	}
	c.variables = variables{
		profilerDir:    text("SGLANG_JAX_PROFILER_DIR", cmp.Or(c.ProfileRoot, "/tmp")),
		healthTimeout:  r.seconds("SGLANG_HEALTH_CHECK_TIMEOUT", 20*time.Second),
		forceShutdown:  r.truth("SGL_FORCE_SHUTDOWN", false),
		noDocs:         r.truth("DISABLE_OPENAPI_DOC", false),
		longerContexts: r.truth("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", true),
	}
	c.CompileCache = cmp.Or(c.CompileCache, text("JAX_COMPILATION_CACHE_DIR", ""))
	c.Offline = c.Offline || r.truth("HF_HUB_OFFLINE", false)
	if c.variables.forceShutdown {
		c.DrainTimeout = 0
	}
	if r.truth("SGLANG_USE_MODELSCOPE", false) {
		r.fault(errors.New("environment variable SGLANG_USE_MODELSCOPE is set, but models come from the Hugging Face hub or a folder; unset it"))
	}
	for _, v := range idleVariables() {
		if value, set := env(v.name); set && value != "" {
			c.idle = append(c.idle, v.name+": "+v.reason)
		}
	}
	platform, _, _ := strings.Cut(strings.ToLower(text("JAX_PLATFORMS", "")), ",")
	switch platform {
	case "gpu":
		platform = "cuda"
	case "", "cpu", "cuda", "tpu":
	default:
		r.fault(fmt.Errorf("environment variable JAX_PLATFORMS is %q; it must begin with cpu, cuda or tpu", platform))
	}
	if c.Device != "" && platform != "" && c.Device != platform {
		r.fault(fmt.Errorf("flag --device is %s, but JAX_PLATFORMS is %s; they must agree", c.Device, platform))
	}
	c.Device = cmp.Or(c.Device, platform, "cpu")
	c.readVertex(&r)
	return r.err
}

// readVertex reads what Vertex AI tells its containers, which must listen on every address:
// https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements#aip-variables.
func (c *config) readVertex(r *variableReader) {
	c.variables.healthRoute, c.variables.predictRoute = r.route("AIP_HEALTH_ROUTE"), r.route("AIP_PREDICT_ROUTE")
	text, _ := r.env("AIP_HTTP_PORT")
	if text == "" {
		return
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		r.fault(fmt.Errorf("environment variable AIP_HTTP_PORT is %q; it must be a port from 1 to 65535", text))
	}
	given := map[string]bool{}
	c.set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["port"] {
		c.Port = int(port)
	}
	if !given["host"] {
		c.Host = "0.0.0.0"
	}
}

// peerVariable is a variable of the peer that does nothing here.
type peerVariable struct{ name, reason string }

func idleVariables() []peerVariable {
	return []peerVariable{
		{"SGLANG_WAIT_TIMEOUT", "a client that leaves is noticed at once"},
		{"SGLANG_JAX_ENABLE_CACHE_MISS_CHECK", "every shape is compiled before the server is ready"},
		{"SGLANG_LOGGING_CONFIG_PATH", "logs are text on stderr, by --log-level and --log-level-http"},
		{"SGLANG_PROFILE_MAX_HOSTS", "there is one host"},
		{"PROMETHEUS_MULTIPROC_DIR", "there is one process"},
	}
}

// variableReader keeps the first fault.
type variableReader struct {
	env lookup
	err error
}

func (r *variableReader) fault(err error) { r.err = cmp.Or(r.err, err) }

// truth reads true, false, 1 or 0 in any case.
func (r *variableReader) truth(name string, otherwise bool) bool {
	text, set := r.env(name)
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true
	case "false", "0", "no", "off":
		return false
	case "":
	default:
		if set {
			r.fault(fmt.Errorf("environment variable %s is %q; it must be true or false", name, text))
		}
	}
	return otherwise
}

// route reads the path of a route.
func (r *variableReader) route(name string) string {
	path, _ := r.env(name)
	if path != "" && (path[0] != '/' || strings.ContainsAny(path, "{}*?#% ") || strings.HasSuffix(path, "/")) {
		r.fault(fmt.Errorf("environment variable %s is %q; it must be a plain path such as /predict", name, path))
	}
	return path
}

func (r *variableReader) seconds(name string, otherwise time.Duration) time.Duration {
	value := seconds(otherwise)
	if text, set := r.env(name); set && text != "" {
		if err := value.Set(text); err != nil || value == 0 {
			r.fault(fmt.Errorf("environment variable %s is %q; it must be a number of seconds above 0", name, text))
		}
	}
	return time.Duration(value)
}
