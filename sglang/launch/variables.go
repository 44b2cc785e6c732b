package launch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Variables are sglang-jax's environment variables that have no flag, and those of JAX
// and of huggingface_hub that it obeys. A variable that is not set is the zero value, or
// sglang-jax's default where one is named.
type Variables struct {
	ProfilerDir    string
	HealthTimeout  time.Duration // default 20 s
	ForceShutdown  bool
	NoDocs         bool
	LongerContexts bool // default true
	Offline        bool
	CompileCache   string
	Platform       string   // cpu, cuda or tpu; "": the server chooses
	Ignored        []string // variables that are set and have no effect, with their reasons
}

// ReadVariables reads the variables. Its error names the first one at fault.
func ReadVariables(env func(name string) (string, bool)) (Variables, error) {
	r := variableReader{env: env}
	v := Variables{
		ProfilerDir:    r.text("SGLANG_JAX_PROFILER_DIR"),
		HealthTimeout:  r.seconds("SGLANG_HEALTH_CHECK_TIMEOUT", 20*time.Second),
		ForceShutdown:  r.truth("SGL_FORCE_SHUTDOWN", false),
		NoDocs:         r.truth("DISABLE_OPENAPI_DOC", false),
		LongerContexts: r.truth("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", true),
		CompileCache:   r.text("JAX_COMPILATION_CACHE_DIR"),
		Offline:        r.truth("HF_HUB_OFFLINE", false),
	}
	if r.truth("SGLANG_USE_MODELSCOPE", false) {
		r.fault(errors.New("environment variable SGLANG_USE_MODELSCOPE is set, but models come " +
			"from the Hugging Face hub or a folder; unset it"))
	}
	for _, ignored := range IgnoredVariables() {
		if r.text(ignored.Name) != "" {
			v.Ignored = append(v.Ignored, ignored.Name+": "+ignored.Reason)
		}
	}
	platform, _, _ := strings.Cut(strings.ToLower(r.text("JAX_PLATFORMS")), ",")
	switch platform {
	case "gpu":
		platform = "cuda"
	case "", "cpu", "cuda", "tpu":
	default:
		r.fault(fmt.Errorf("environment variable JAX_PLATFORMS is %q; it must begin with cpu, "+
			"cuda or tpu", platform))
	}
	v.Platform = platform
	return v, r.err
}

// IgnoredVariable is a variable of sglang-jax that has no effect here, with the reason,
// which the log and scored serve --help-all show.
type IgnoredVariable struct{ Name, Reason string }

// IgnoredVariables lists these variables.
func IgnoredVariables() []IgnoredVariable {
	return []IgnoredVariable{
		{"SGLANG_WAIT_TIMEOUT", "a client that leaves is noticed at once"},
		{"SGLANG_JAX_ENABLE_CACHE_MISS_CHECK", "every shape is compiled before the server is ready"},
		{"SGLANG_LOGGING_CONFIG_PATH", "logs are text on stderr, by --log-level and --log-level-http"},
		{"SGLANG_PROFILE_MAX_HOSTS", "there is one host"},
		{"PROMETHEUS_MULTIPROC_DIR", "there is one process"},
	}
}

// variableReader reads variables and keeps the first fault.
type variableReader struct {
	env func(name string) (string, bool)
	err error
}

// fault records an error, unless there is one already.
func (r *variableReader) fault(err error) { r.err = cmp.Or(r.err, err) }

// text returns the value of a variable; "" if it is not set.
func (r *variableReader) text(name string) string {
	value, _ := r.env(name)
	return value
}

// truth reads a boolean, in any case. A variable that is set and empty counts as not
// set.
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

// seconds reads a positive duration. Unlike a flag, it must not be 0: a health check
// without time would always fail.
func (r *variableReader) seconds(name string, otherwise time.Duration) time.Duration {
	value := Seconds(otherwise)
	if text := r.text(name); text != "" {
		if err := value.Set(text); err != nil || value == 0 {
			r.fault(fmt.Errorf("environment variable %s is %q; it must be a number of seconds "+
				"above 0", name, text))
		}
	}
	return time.Duration(value)
}

// Seconds is a duration, given as a number of seconds, as sglang-jax's flags are, or in
// Go's notation.
type Seconds time.Duration

// String implements flag.Value.
func (s *Seconds) String() string { return time.Duration(*s).String() }

// Set implements flag.Value.
func (s *Seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if f, isNumber := strconv.ParseFloat(text, 64); isNumber == nil {
		d, err = time.Duration(f*float64(time.Second)), nil
		if !(f >= 0 && f < math.MaxInt64/float64(time.Second)) {
			d = -1
		}
	}
	if err != nil || d < 0 {
		return errors.New("it must be seconds, or a duration such as 1m30s")
	}
	*s = Seconds(d)
	return nil
}
