package app

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"scored/model"
	"scored/pjrt"
	"scored/score"
	"scored/server"
	"scored/tokenizer"
	"scored/trace"
)

// Start makes a model ready, part by part, and tells the log what it is at. Load does
// all of it; commands that need less call what they need. Its methods are for one
// goroutine.
type Start struct {
	Device *Device // what the engine is like; its Target may be set before a plugin is opened

	options  Options
	log      *slog.Logger
	progress *progress
	opened   cleanups
}

// NewStart returns a Start with nothing opened yet. The caller must call Close.
func NewStart(o Options) (*Start, error) {
	device, err := NewDevice(o)
	if err != nil {
		return nil, UsageError{Err: err}
	}
	s := &Start{Device: device, options: o, log: o.Log, progress: newProgress(o.Log, progressEvery)}
	s.opened.add("progress", s.progress.close)
	return s, nil
}

// Close closes all that was opened, the last first. What fails is logged by its name.
func (s *Start) Close() error { return s.opened.run(s.log) }

// OnClose adds what Close shall close before all that is open now. The log and Close's
// error call it by the name.
func (s *Start) OnClose(name string, do func() error) { s.opened.add(name, do) }

// Progress gives what model.New reports to, for an engine of one's own.
func (s *Start) Progress(found *Source) func(stage model.Stage, done, total int64) {
	return s.progress.engine(found.Generated, 0, 1)
}

// Load makes everything ready: files, plugin, tokenizer, engines, scorer, in this
// order, so that what cannot work is found before what takes long. metrics may be nil;
// also get the spans, too.
func (s *Start) Load(ctx context.Context, metrics *server.Metrics,
	also ...score.Observer) (*server.Model, error) {
	defer s.progress.close()
	if err := s.checkFiles(ctx); err != nil {
		return nil, err
	}
	found, err := s.FindModel(ctx)
	if err != nil {
		return nil, err
	}
	limitMemory(s.Device, found.Config, s.log)
	s.progress.set(func() string { return "opening the device's plugin" })
	plugin, splicer, err := s.OpenPlugin(ctx, found.Config)
	if err != nil {
		return nil, err
	}
	s.progress.set(func() string { return "loading the tokenizer" })
	words, err := openTokenizer(ctx, found, s.log)
	if err != nil {
		return nil, err
	}
	s.opened.add("tokenizer", words.Close)
	engines, contextLength, err := s.loadEngines(ctx, plugin, splicer, found)
	if err != nil {
		return nil, err
	}
	stats := plugin.Stats()
	s.log.Info("engines are ready", "devices", len(engines), "buckets", len(engines[0].Buckets()),
		"compiled", stats.Compiles, "from_cache", stats.CacheHits)
	metrics.Devices(len(engines))
	metrics.WatchDevice(func() server.Device { return deviceOf(plugin.Stats()) })
	metrics.Engine(s.options.Device, s.Device.Attention)
	var scorer *score.Scorer // before the first request it is there
	profiler := newProfiler(plugin, found.Config, s.Device,
		func(ctx context.Context, do func() error) error { return scorer.BetweenSteps(ctx, do) })
	s.opened.add("profiler", profiler.Close)
	observers, err := s.observers(append(also, metrics, profiler, &drift{log: s.log})...)
	if err != nil {
		return nil, err
	}
	vocab := min(words.Vocab(), found.Config.VocabSize)
	scorer, err = score.New(s.scoreConfig(found, vocab, contextLength, observers), words, engines...)
	if err != nil {
		return nil, err
	}
	s.opened.add("scorer", func() error { scorer.Close(); return nil })
	chosen := Chosen{Attention: s.Device.Attention, Compile: s.Device.Target.Options}
	return &server.Model{Scorer: scorer, Settings: s.options.Settings(chosen), Words: words,
		Profiler: profiler, Observer: observers, ContextLength: contextLength, Vocab: vocab,
		BaseVocab: words.BaseVocab(), Generated: found.Generated}, nil
}

// checkFiles finds the tokenizer and the plugin where Options name them, so that one
// that is not there is known before a model is looked for. Nothing is fetched.
func (s *Start) checkFiles(ctx context.Context) error {
	for _, path := range []string{s.options.TokenizerPath, s.options.DummyTokenizer} {
		if path == "" {
			continue
		}
		if _, err := tokenizer.Find(path); err != nil {
			return UsageError{Err: err}
		}
	}
	if s.options.Plugin == "" {
		return nil
	}
	_, err := s.findPlugin(ctx)
	return err
}

// scoreConfig is what of the Options and the model concerns the scorer.
func (s *Start) scoreConfig(found *Source, vocab, contextLength int,
	observer score.Observer) score.Config {
	o := s.options
	return score.Config{Vocab: vocab, ContextLength: contextLength,
		Classes: score.Classes{Names: found.Config.Classes,
			Activation: score.Activation(found.Config.Activation)},
		AllowTruncate: o.AllowTruncate, MaxQueue: o.MaxQueue, MaxTokens: o.MaxTokens,
		MaxBacklog: o.MaxBacklog, MaxLabels: o.MaxLabels, MaxScores: o.MaxScores,
		KeepPages: s.Device.keepPages(found.Config), Watchdog: o.Watchdog, Observer: observer}
}

// observers are those that the scorer and the server tell of what they do: the given
// ones, and a trace exporter if there is a collector. On close it sends what it still
// holds, for at most five seconds.
func (s *Start) observers(all ...score.Observer) (score.Observers, error) {
	if s.options.OTLPEndpoint == "" {
		return all, nil
	}
	exporter, err := trace.New(s.options.OTLPEndpoint, "scored")
	if err != nil {
		return nil, err
	}
	s.opened.add("trace exporter", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return exporter.Close(ctx)
	})
	return append(all, exporter), nil
}

func deviceOf(stats pjrt.Stats) server.Device {
	return server.Device{Compiles: stats.Compiles, CacheHits: stats.CacheHits, Buffers: stats.Buffers}
}

// API returns the server's handler, which answers 503 until its Serve is given what Load
// returns. metrics and keys may be nil.
func (o Options) API(metrics *server.Metrics, keys *server.Keys) (*server.Server, error) {
	template, err := o.OpenTemplate()
	if err != nil {
		return nil, err
	}
	var origins []string
	if o.CORSOrigins != "" {
		origins = strings.Split(o.CORSOrigins, ",")
	}
	return server.New(server.Config{ServedModel: cmp.Or(o.ServedModelName, o.ModelPath),
		ModelPath: o.ModelPath, TokenizerPath: o.tokenizerOr(o.ModelPath), Sampling: o.SamplingParams,
		Version: o.Version, APIKey: o.APIKey, Keys: keys, MaxBody: o.MaxBody, MaxHeld: o.MaxHeld,
		BodyTimeout: o.BodyTimeout, MaxClientRequests: o.MaxClientRequests,
		RequestTimeout: o.RequestTimeout, HealthTimeout: o.HealthTimeout, CORSOrigins: origins,
		StrictEmptyItems: o.StrictEmptyItems, EmulateSGLang: o.ProfileEmulate,
		HealthRoute: o.HealthRoute, PredictRoute: o.PredictRoute, KeylessPing: o.KeylessPing,
		SaltByKey: o.CacheSaltByKey, DisableDocs: o.DisableDocs, Template: template, Metrics: metrics,
		Logger: o.Log, Access: o.Access}), nil
}
