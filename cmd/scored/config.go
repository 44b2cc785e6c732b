package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"scored/prompt"
	"scored/score"
	"scored/sglang/launch"
	"scored/target"
)

// lookup finds an environment variable.
type lookup func(name string) (string, bool)

// config is everything `scored serve` can be told.
type config struct {
	ModelPath       string `validate:"required"`
	LoRA            folders
	TokenizerPath   string
	ServedModelName string
	LoadFormat      string `validate:"oneof=auto dummy"`
	DummyFallback   bool
	DummyTokenizer  string
	Revision        string
	DownloadDir     string
	Offline         bool
	RandomSeed      uint64

	Host              string `validate:"required"`
	Port              int    `validate:"min=0,max=65535"`
	APIKey            string
	APIKeyFile        string
	KeylessPing       bool
	CacheSaltByKey    bool
	CORSOrigins       string
	Sampling          string `validate:"omitempty,json"`
	StrictEmptyItems  bool
	Template          string
	TemplateSystem    string
	MaxQueue          int           `validate:"min=1"`
	MaxTokens         int           `validate:"min=1"`
	MaxBacklog        time.Duration `validate:"min=0"`
	MaxLabels         int           `validate:"min=1"`
	MaxScores         int           `validate:"min=1"`
	MaxClientRequests int           `validate:"min=0"`
	MaxBody           int64         `validate:"min=1"`
	MaxHeld           int64         `validate:"min=1"`
	BodyTimeout       time.Duration `validate:"min=0"`
	WriteTimeout      time.Duration `validate:"min=0"`
	RequestTimeout    time.Duration `validate:"min=0"`
	DrainTimeout      time.Duration `validate:"min=0"`
	Watchdog          time.Duration `validate:"min=0"`
	EnableMetrics     bool
	OTLPEndpoint      string `validate:"omitempty,http_url"`
	LogLevel          string `validate:"oneof=debug info warn warning error critical"`
	LogLevelHTTP      string `validate:"omitempty,oneof=debug info warn warning error critical"`
	ProfileRoot       string `validate:"omitempty,dir"`
	ProfileEmulate    bool

	DType            string `validate:"oneof=auto float32 float bfloat16"`
	Device           string `validate:"oneof=cpu cuda tpu"`
	Replicas         int    `validate:"min=1,max=64"`
	Plugin           string
	PluginDir        string
	Attention        string `validate:"oneof=fa fa_mha native dsa_sparse"`
	ContextLength    int    `validate:"min=0,max=16777216"`
	AllowTruncate    bool
	Buckets          string
	ChunkedPrefill   int `validate:"min=-1"`
	MaxTotalTokens   int `validate:"min=0"`
	MaxPrefill       int `validate:"min=1"`
	CompileCache     string
	PrefixCacheBytes int64 `validate:"min=-1"`
	Price            string

	found  *target.Target   // the device's row, once its plugin is open
	price  *priceFile       // what --price holds; nil if it is not given
	prompt *prompt.Template // of --template; nil: none

	variables variables
	idle      []string      // flags and variables that were given and do nothing here, with the reason
	set       *flag.FlagSet // the flags these values came from
}

// parseConfig reads flags and, for those not given, environment variables SCORED_<FLAG>; then the peer's variables.
func parseConfig(args []string, env lookup, output io.Writer) (*config, error) {
	c := &config{}
	flags := c.flags()
	flags.SetOutput(io.Discard) // faults are told once, by the caller
	args, err := launch.Expand(args, flags)
	if err != nil {
		return nil, usageError{err}
	}
	if err := parseFlags(flags, args, env); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printUsage(output)
		}
		return nil, err
	}
	if err := c.readVariables(env); err != nil {
		return nil, usageError{err}
	}
	if err := c.validate(); err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// parseFlags reads flags and, for those not given, environment variables. Nothing but flags may be among args.
func parseFlags(flags *flag.FlagSet, args []string, env lookup) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("argument %q is not a flag", flags.Arg(0))
	case err == nil:
		err = fromEnvironment(flags, env)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// fromEnvironment sets the flags that were not given and have a variable: --max-queue is SCORED_MAX_QUEUE.
func fromEnvironment(flags *flag.FlagSet, env lookup) (err error) {
	given := map[flag.Value]bool{} // a flag and its alias have one
	flags.Visit(func(f *flag.Flag) { given[f.Value] = true })
	flags.VisitAll(func(f *flag.Flag) {
		name := "SCORED_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := env(name)
		if !set || given[f.Value] || err != nil {
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
	c.LogLevel, c.LogLevelHTTP = strings.ToLower(c.LogLevel), strings.ToLower(c.LogLevelHTTP)
	if c.DType == "half" || c.DType == "float16" {
		return fmt.Errorf("flag --dtype=%s is not supported: float16 weights would be rounded, and scores with them; use bfloat16 or float32", c.DType)
	}
	if err := c.checkValues(); err != nil {
		return err
	}
	idle, err := launch.Check(c.set)
	if err != nil {
		return err
	}
	c.idle = append(c.idle, idle...)
	if err := c.checkSampling(); err != nil {
		return err
	}
	if c.ServedModelName == "" {
		c.ServedModelName = c.ModelPath
	}
	if _, err = c.parseBuckets(); err != nil {
		return err
	}
	if err := c.openTemplate(); err != nil {
		return err
	}
	return c.checkTogether()
}

// checkValues holds fields, or all of them, to their tags.
func (c *config) checkValues(fields ...string) error {
	check := validator.New(validator.WithRequiredStructEnabled())
	err := check.StructPartial(c, fields...)
	if len(fields) == 0 {
		err = check.Struct(c)
	}
	var faults validator.ValidationErrors
	if errors.As(err, &faults) {
		return faultOf(faults[0])
	}
	return err
}

// faultOf says which flag is wrong and what would be right.
func faultOf(fault validator.FieldError) error {
	name, want := flagName(fault.Field()), fault.Param()
	switch fault.Tag() {
	case "required":
		return fmt.Errorf("flag --%s is missing", name)
	case "oneof":
		want = "one of " + strings.ReplaceAll(want, " ", ", ")
	case "min":
		want = "at least " + want
	case "max":
		want = "at most " + want
	case "json":
		want = "JSON"
	case "http_url":
		want = "an http or https address"
	case "dir":
		want = "a folder that exists"
	}
	return fmt.Errorf("flag --%s is %q; it must be %s", name, fmt.Sprint(fault.Value()), want)
}

// checkSampling refuses what would change the peer's scores, which are taken at temperature 1.
func (c *config) checkSampling() error {
	var params struct{ Temperature *float64 }
	if c.Sampling == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(c.Sampling), &params); err != nil {
		return fmt.Errorf("flag --preferred-sampling-params is %s; it must be a JSON object", c.Sampling)
	}
	if params.Temperature != nil && *params.Temperature != 1 {
		return fmt.Errorf("flag --preferred-sampling-params asks for temperature %g; scores are taken at 1", *params.Temperature)
	}
	return nil
}

// flagName turns a field's name into its flag's: MaxQueue is max-queue.
func flagName(field string) string {
	if name, ok := map[string]string{"APIKey": "api-key", "APIKeyFile": "api-key-file", "DType": "dtype",
		"Watchdog": "watchdog-timeout", "CORSOrigins": "cors-origins", "OTLPEndpoint": "otlp-endpoint",
		"Sampling": "preferred-sampling-params", "LogLevelHTTP": "log-level-http", "ChunkedPrefill": "chunked-prefill-size",
		"MaxPrefill": "max-prefill-tokens", "Replicas": "dp-size", "Attention": "attention-backend"}[field]; ok {
		return name
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

// mostOfBucket is as far above every use as the longest context that a model's config may name.
const mostOfBucket = 1 << 24

// openTemplate reads --template.
func (c *config) openTemplate() (err error) {
	switch {
	case c.Template == "" && c.TemplateSystem == "":
		return nil
	case c.Template == "":
		return errors.New("flag --template-system needs a --template")
	case c.AllowTruncate:
		return errors.New("flags --template and --allow-auto-truncate exclude each other: what is cut off would be the template's end")
	}
	c.prompt, err = prompt.Open(c.Template, c.TemplateSystem)
	return err
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
		n, _ := fmt.Sscanf(text+" .", "%dx%dx%dx%d %s", &b.Tokens, &b.Rows, &b.Length, &b.Context, &rest)
		if n != 5 || min(b.Tokens, b.Rows, b.Length) < 1 || b.Context < 0 || max(b.Tokens, b.Rows, b.Length, b.Context) > mostOfBucket {
			return nil, fmt.Errorf("flag --buckets: %q is not TOKENSxROWSxLENGTHxPREFIX, e.g. 256x8x32x512, each at most %d", text, mostOfBucket)
		}
		buckets = append(buckets, b)
	}
	return buckets, nil
}

// logger logs at the level, or at --log-level if level is "".
func (c *config) logger(w io.Writer, level string) *slog.Logger {
	at := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn,
		"error": slog.LevelError, "critical": slog.LevelError}[cmp.Or(level, c.LogLevel)]
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: at}))
}

// shown lists every flag of ours with its value, and the peer's that were given, for the log; without secrets.
func (c *config) shown() []any {
	var pairs []any
	c.set.VisitAll(func(f *flag.Flag) {
		if v, theirs := f.Value.(*launch.Value); launch.Aliases()[f.Name] == "" && (!theirs || v.Given()) {
			pairs = append(pairs, slog.String(strings.ReplaceAll(f.Name, "-", "_"), shownText(f)))
		}
	})
	return pairs
}
