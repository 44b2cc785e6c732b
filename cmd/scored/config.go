package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"scored/score"
)

// lookup finds an environment variable.
type lookup func(name string) (string, bool)

// config is everything `scored serve` can be told. Names and defaults are sglang-jax's where it has the flag.
type config struct {
	ModelPath       string `validate:"required"`
	TokenizerPath   string
	ServedModelName string
	LoadFormat      string `validate:"oneof=auto dummy"`
	DummyFallback   bool
	DummyTokenizer  string
	Revision        string
	DownloadDir     string

	Host   string `validate:"required"`
	Port   int    `validate:"min=0,max=65535"`
	APIKey string

	DType            string `validate:"oneof=auto float32 float bfloat16"`
	Device           string `validate:"oneof=cpu cuda tpu"`
	Plugin           string
	PluginDir        string
	Offline          bool
	ContextLength    int `validate:"min=0"`
	AllowTruncate    bool
	RandomSeed       uint64
	Buckets          string
	CompileCache     string
	PrefixCacheBytes int64 `validate:"min=0"`

	MaxQueue     int           `validate:"min=1"`
	MaxBody      int64         `validate:"min=1"`
	DrainTimeout time.Duration `validate:"min=0"`
	Watchdog     time.Duration `validate:"min=0"`
	LogLevel     string        `validate:"oneof=debug info warn warning error critical"`

	set *flag.FlagSet // the flags these values came from
}

// parseConfig reads flags and, for those not given, environment variables SCORED_<FLAG>.
func parseConfig(args []string, env lookup, output io.Writer) (*config, error) {
	c := &config{}
	flags := c.flags()
	c.set = flags
	flags.SetOutput(output)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, usageError{err}
	}
	if flags.NArg() > 0 {
		return nil, usageError{fmt.Errorf("argument %q is not a flag", flags.Arg(0))}
	}
	if err := fromEnvironment(flags, env); err != nil {
		return nil, usageError{err}
	}
	if err := c.validate(); err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func (c *config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("scored serve", flag.ContinueOnError)
	for _, name := range []string{"model-path", "model"} {
		f.StringVar(&c.ModelPath, name, "", "Hugging Face id or local folder of a Qwen3 checkpoint (required)")
	}
	f.StringVar(&c.TokenizerPath, "tokenizer-path", "", "folder of tokenizer.json (default: the model's)")
	f.StringVar(&c.ServedModelName, "served-model-name", "", "name shown in /v1/models (default: the model path)")
	f.StringVar(&c.LoadFormat, "load-format", "auto", "auto reads safetensors; dummy generates weights from --random-seed")
	f.BoolVar(&c.DummyFallback, "dummy-fallback", false, "where the hub cannot be reached, serve the Qwen3-0.6B shape with generated weights")
	f.StringVar(&c.DummyTokenizer, "dummy-tokenizer", "", "tokenizer folder for generated weights")
	f.StringVar(&c.Revision, "revision", "main", "revision of the model on the hub")
	f.StringVar(&c.DownloadDir, "download-dir", "", "where the hub's files are kept (default: the hub's own cache)")
	f.StringVar(&c.Host, "host", "127.0.0.1", "address to listen on")
	f.IntVar(&c.Port, "port", 30000, "port to listen on; 0 picks a free one")
	f.StringVar(&c.APIKey, "api-key", "", "key that requests must bring as `Bearer KEY`")
	f.StringVar(&c.DType, "dtype", "auto", "dtype of the weights: auto, float32 or bfloat16")
	f.StringVar(&c.Device, "device", "cpu", "cpu, cuda or tpu")
	f.StringVar(&c.Plugin, "plugin", "", "path of a PJRT plugin (default: found or fetched for --device)")
	f.StringVar(&c.PluginDir, "plugin-dir", "", "where plugins are installed (default: the user's cache folder)")
	f.BoolVar(&c.Offline, "offline", false, "never use the network")
	f.IntVar(&c.ContextLength, "context-length", 0, "longest prompt plus one token (default: the model's)")
	f.BoolVar(&c.AllowTruncate, "allow-auto-truncate", false, "cut prompts that are too long instead of refusing them")
	f.Uint64Var(&c.RandomSeed, "random-seed", 42, "seed of generated weights")
	f.StringVar(&c.Buckets, "buckets", "", "step shapes as TOKENSxROWSxLENGTHxPREFIX, comma separated (default: chosen for the model)")
	f.StringVar(&c.CompileCache, "compile-cache", "", "folder that keeps compiled programs between starts (default: none)")
	f.Int64Var(&c.PrefixCacheBytes, "prefix-cache-bytes", 1<<30, "bound of the prefix keys and values kept on the device")
	f.IntVar(&c.MaxQueue, "max-queue", 1<<16, "items admitted at once; more get 503")
	f.Int64Var(&c.MaxBody, "max-body", 64<<20, "largest request body in bytes")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", 30*time.Second, "how long a stop waits for admitted requests")
	f.DurationVar(&c.Watchdog, "watchdog-timeout", 5*time.Minute, "a step that runs longer turns readiness red")
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	return f
}

// fromEnvironment sets the flags that were not given and have a variable: --max-queue is SCORED_MAX_QUEUE.
func fromEnvironment(flags *flag.FlagSet, env lookup) (err error) {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	flags.VisitAll(func(f *flag.Flag) {
		name := "SCORED_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := env(name)
		if !set || given[f.Name] || err != nil {
			return
		}
		if setErr := flags.Set(f.Name, value); setErr != nil {
			err = fmt.Errorf("environment variable %s=%q: %w", name, value, setErr)
		}
	})
	return err
}

// validate checks the values together and fills in those that follow from others.
func (c *config) validate() error {
	if err := validator.New(validator.WithRequiredStructEnabled()).Struct(c); err != nil {
		var faults validator.ValidationErrors
		if errors.As(err, &faults) {
			return fmt.Errorf("flag --%s is %q; it must satisfy %s %s", flagName(faults[0].Field()), fmt.Sprint(faults[0].Value()),
				faults[0].Tag(), faults[0].Param())
		}
		return err
	}
	if c.ServedModelName == "" {
		c.ServedModelName = c.ModelPath
	}
	_, err := c.parseBuckets()
	return err
}

// flagName turns a field's name into its flag's: MaxQueue is max-queue.
func flagName(field string) string {
	switch field {
	case "APIKey":
		return "api-key"
	case "DType":
		return "dtype"
	case "Watchdog":
		return "watchdog-timeout"
	}
	var name strings.Builder
	for i, r := range field {
		if i > 0 && r >= 'A' && r <= 'Z' {
			name.WriteByte('-')
		}
		name.WriteRune(r)
	}
	return strings.ToLower(name.String())
}

// parseBuckets reads --buckets; nil means the model's own choice.
func (c *config) parseBuckets() ([]score.Bucket, error) {
	if c.Buckets == "" {
		return nil, nil
	}
	var buckets []score.Bucket
	for _, text := range strings.Split(c.Buckets, ",") {
		var b score.Bucket
		var rest string
		n, _ := fmt.Sscanf(text+" .", "%dx%dx%dx%d %s", &b.Tokens, &b.Rows, &b.Length, &b.Prefix, &rest)
		if n != 5 || min(b.Tokens, b.Rows, b.Length) < 1 || b.Prefix < 0 {
			return nil, fmt.Errorf("flag --buckets: %q is not TOKENSxROWSxLENGTHxPREFIX, e.g. 256x8x32x512", text)
		}
		buckets = append(buckets, b)
	}
	return buckets, nil
}

func (c *config) logger(w io.Writer) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn,
		"error": slog.LevelError, "critical": slog.LevelError}[c.LogLevel]
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// shown lists every flag's value by name, for the log and /get_server_info, without secrets.
func (c *config) shown() []any {
	var pairs []any
	c.set.VisitAll(func(f *flag.Flag) {
		value := f.Value.String()
		if f.Name == "api-key" && value != "" {
			value = "(set)"
		}
		if f.Name != "model" { // an alias
			pairs = append(pairs, slog.String(strings.ReplaceAll(f.Name, "-", "_"), value))
		}
	})
	return pairs
}
