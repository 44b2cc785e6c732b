package app

import (
	"cmp"
	"context"
	"errors"
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

// Start makes a model ready, part by part, and tells the log what it is doing. Load does
// all of it; commands that need less call what they need. What its methods open is closed
// by Close. The methods are for one goroutine.
type Start struct {
	// Device says what the engines are like. Its Target may be set before a plugin is
	// opened; OpenPlugin sets it by the plugin's device.
	Device *Device

	options  Options
	log      *slog.Logger
	progress *progress
	opened   cleanups
}

// NewStart returns a Start with nothing opened yet. The caller must call Close.
func NewStart(c *Checked) *Start {
	s := &Start{Device: NewDevice(c), options: c.options, log: c.options.Log,
		progress: newProgress(c.options.Log, progressEvery)}
	s.opened.add("progress", s.progress.close)
	return s
}

// Close closes all that was opened, the last first. What does not close is logged by its
// name, and named in the error. Close may be called again.
func (s *Start) Close() error { return s.opened.run(s.log) }

// End is Close after err, with which the work ended, or nil. It returns both errors. If
// err says that the device is lost, End closes nothing and returns a LostError.
func (s *Start) End(err error) error {
	if lost := (*LostError)(nil); errors.As(err, &lost) {
		return err
	}
	if pjrt.Lost(err) {
		return &LostError{Cause: err}
	}
	return errors.Join(err, s.Close())
}

// OnClose adds what Close shall close before all that is open now. The log and Close's
// error call it by the name.
func (s *Start) OnClose(name string, do func() error) { s.opened.add(name, do) }

// Progress returns what model.New reports to, for a command that makes its own engine.
func (s *Start) Progress(found *Source) func(stage model.Stage, done, total int64) {
	return s.progress.engine(found.Generated, 0, 1)
}

// Begin tells the log that the phase begins in which a command uses what Start has made,
// and what doing returns: now, and every few seconds until Close. doing is called on
// another goroutine.
func (s *Start) Begin(phase string, doing func() string) { s.progress.enter(phase, doing) }

// Load makes everything ready: files, plugin, tokenizer, engines, scorer, in this
// order, so that what cannot work is found before what takes long. metrics may be nil;
// it and also get the spans. After an error, End closes what Load has opened.
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
	words, err := s.openWords(ctx, found)
	if err != nil {
		return nil, err
	}
	engines, contextLength, err := s.loadEngines(ctx, plugin, splicer, found)
	if err != nil {
		return nil, err
	}
	s.report(metrics, plugin, engines)
	var scorer *score.Scorer // set below, before anybody can start a profile
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

// checkFiles looks for the tokenizer and the plugin where Options name them, so that one
// that is missing is known before a model is looked for. Only a plugin that is given by
// its name may be fetched.
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
	_, err := s.FindPlugin(ctx, s.options.Device)
	return err
}

// openWords opens the model's tokenizer. One that the flag names and that cannot be used
// is a UsageError.
func (s *Start) openWords(ctx context.Context, found *Source) (modelTokenizer, error) {
	s.progress.set(func() string { return "loading the tokenizer" })
	words, err := openTokenizer(ctx, found, s.log)
	if err != nil {
		if s.options.TokenizerPath != "" && ctx.Err() == nil {
			err = UsageError{Err: err} // it is not what the flag takes
		}
		return nil, err
	}
	s.opened.add("tokenizer", words.Close)
	return words, nil
}

// report tells the log and the metrics what was loaded. metrics may be nil.
func (s *Start) report(metrics *server.Metrics, plugin *pjrt.Plugin, engines []score.Engine) {
	stats := plugin.Stats()
	s.log.Info("engines are ready", "devices", len(engines), "buckets", len(engines[0].Buckets()),
		"compiled", stats.Compiles, "from_cache", stats.CacheHits)
	metrics.Devices(len(engines))
	metrics.WatchDevice(func() server.Device { return deviceOf(plugin.Stats()) })
	metrics.Engine(s.options.Device, s.Device.Attention)
}

// scoreConfig returns the scorer's Config, by the Options and the model. Token ids below
// vocab have both a text and an embedding.
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

// observers returns the given observers, and an exporter of traces if there is a
// collector. When it is closed, the exporter sends what it still holds, for at most five
// seconds: a collector that is gone must not hold up a stop.
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

// deviceOf turns a plugin's counters into those of /metrics.
func deviceOf(stats pjrt.Stats) server.Device {
	return server.Device{Compiles: stats.Compiles, CacheHits: stats.CacheHits, Buffers: stats.Buffers}
}

// API returns the server's handler, which answers 503 until its Serve is given what Load
// returns. metrics and keys may be nil.
func (c *Checked) API(metrics *server.Metrics, keys *server.Keys) *server.Server {
	o := c.options
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
		SaltByKey: o.CacheSaltByKey, DisableDocs: o.DisableDocs, Template: c.template, Metrics: metrics,
		Logger: o.Log, Access: o.Access})
}
