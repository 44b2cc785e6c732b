package app

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"scored/score"
	"scored/server"
)

// Options configure a server. Make them with Defaults: a field's zero value need not be a
// good one. Check holds them to the validate tags and to each other. A field is named
// after its flag of scored serve, which says what it does (scored serve -h,
// docs/flags.md); sizes are in bytes.
type Options struct {
	// The model: a folder, or an id of the hub.
	ModelPath       string `validate:"required"`
	LoRA            []string
	TokenizerPath   string
	ServedModelName string
	LoadFormat      string `validate:"oneof=auto dummy"`
	DummyFallback   bool
	DummyTokenizer  string
	Revision        string
	DownloadDir     string
	Offline         bool
	RandomSeed      uint64

	// The server, and what it admits.
	Host              string `validate:"required"`
	Port              int    `validate:"min=0,max=65535"`
	APIKey            string
	APIKeyFile        string
	KeylessPing       bool
	CacheSaltByKey    bool
	CORSOrigins       string
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
	ProfileRoot       string `validate:"omitempty,dir"`
	ProfileEmulate    bool

	// The device, and the engine on it.
	DType            string `validate:"oneof=auto float32 float bfloat16"`
	Device           string `validate:"oneof=cpu cuda tpu"`
	Replicas         int    `validate:"min=1,max=64"`
	Plugin           string
	PluginDir        string
	Attention        string `validate:"oneof=fa fa_mha native dsa_sparse"`
	ContextLength    int    `validate:"min=0,max=16777216"`
	AllowTruncate    bool
	Buckets          string
	MaxTotalTokens   int `validate:"min=0"`
	CompileCache     string
	PrefixCacheBytes int64 `validate:"min=-1"`
	Price            string

	// What follows from several flags, or from sglang-jax's variables.
	StepTokens     int           // shapes with more tokens are left out, unless Buckets names them
	LongerContexts bool          // ContextLength may be above what the model was made for
	SamplingParams string        // a JSON string that /get_model_info shows; "" is null
	ProfileDir     string        // of profiles whose client names no folder
	HealthTimeout  time.Duration // of the step that /health_generate waits for
	HealthRoute    string        // of Vertex AI, as PredictRoute; "" is none
	PredictRoute   string
	DisableDocs    bool

	Version string // of the program
	Log     *slog.Logger
	Access  *slog.Logger // a line for each request
	// Progress takes what a download of a plugin shows of itself.
	Progress io.Writer
	// Settings lists what /get_server_info shows, once it is known what runs.
	Settings func(Chosen) []server.Setting
}

// Chosen is what a start has chosen for its device, for Options.Settings.
type Chosen struct {
	Attention string            // native where no kernels attend, also if the flags ask for them
	Compile   map[string]string // options of the device's compiler
}

// Defaults returns the defaults of scored serve for a CPU, with logs discarded. The
// caller must set ModelPath.
func Defaults() Options {
	return Options{
		LoadFormat: "auto", Revision: "main", RandomSeed: 42,
		Host: "127.0.0.1", Port: 30000, CORSOrigins: "*",
		MaxQueue: 1 << 16, MaxTokens: 1 << 24, MaxLabels: 1 << 10, MaxScores: 1 << 21,
		MaxBody: 64 << 20, MaxHeld: 256 << 20,
		BodyTimeout: time.Minute, WriteTimeout: 30 * time.Second, DrainTimeout: 30 * time.Second,
		Watchdog: 5 * time.Minute, DType: "auto", Device: "cpu", Replicas: 1,
		Attention: "fa", PrefixCacheBytes: -1, StepTokens: 16384, LongerContexts: true,
		ProfileDir: "/tmp", HealthTimeout: 20 * time.Second, Log: slog.New(slog.DiscardHandler),
		Access: slog.New(slog.DiscardHandler), Progress: io.Discard,
		Settings: func(Chosen) []server.Setting { return nil },
	}
}

// mostOfBucket bounds each number of a step shape. It is as far above every use as the
// longest context that a model's config may name.
const mostOfBucket = 1 << 24

// parseBuckets reads step shapes, TOKENSxROWSxLENGTHxPREFIX with commas between them;
// nil for "". Their Cost is not set.
func parseBuckets(list string) ([]score.Bucket, error) {
	if list == "" {
		return nil, nil
	}
	var buckets []score.Bucket
	for text := range strings.SplitSeq(list, ",") {
		var b score.Bucket
		var rest string
		// The dot is what must follow, so that nothing else may.
		n, _ := fmt.Sscanf(text+" .", "%dx%dx%dx%d %s", &b.Tokens, &b.Rows, &b.Length, &b.Context, &rest)
		if n != 5 || min(b.Tokens, b.Rows, b.Length) < 1 || b.Context < 0 ||
			max(b.Tokens, b.Rows, b.Length, b.Context) > mostOfBucket {
			return nil, fmt.Errorf("flag --buckets: %q is not TOKENSxROWSxLENGTHxPREFIX, e.g. "+
				"256x8x32x512, each at most %d", text, mostOfBucket)
		}
		buckets = append(buckets, b)
	}
	return buckets, nil
}

// tokenizerOr returns TokenizerPath or, if that is "", otherwise.
func (o Options) tokenizerOr(otherwise string) string {
	if o.TokenizerPath != "" {
		return o.TokenizerPath
	}
	return otherwise
}
