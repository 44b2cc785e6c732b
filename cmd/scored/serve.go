package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"scored/pjrt"
	"scored/score"
	"scored/server"
	"scored/sglang/launch"
	"scored/trace"
)

// serve runs the server until ctx ends, then drains it and closes everything in reverse order.
func serve(ctx context.Context, args []string, env lookup, stderr io.Writer) error {
	c, err := parseConfig(args, env, stderr)
	if err != nil {
		return err
	}
	log := c.logger(stderr, "")
	log.Info("starting", c.shown()...)
	for _, setting := range c.idle {
		log.Info("setting has no effect here", "setting", setting)
	}
	listener, err := c.listen()
	if err != nil {
		return err
	}
	tellFiles(log)
	var opened closers
	err = c.serve(ctx, listener, log, stderr, &opened)
	if lost := (*lostError)(nil); errors.As(err, &lost) {
		return err // nothing of a lost device may be closed
	}
	err = errors.Join(err, opened.close())
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// listen takes the address.
func (c *config) listen() (net.Listener, error) {
	address := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address is not free: %w; is another copy running? choose another --port", err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("address %s may not be used: %w; choose a --port above 1023", address, err)
	}
	return nil, fmt.Errorf("address %s cannot be listened on: %w; check --host and --port", address, err)
}

// serve answers 503 until the model is loaded, then requests, until ctx ends. What it opens is added to opened.
func (c *config) serve(ctx context.Context, listener net.Listener, log *slog.Logger, stderr io.Writer, opened *closers) error {
	began := time.Now()
	var metrics *server.Metrics
	if c.EnableMetrics {
		metrics = server.NewMetrics(version())
	}
	keys, err := c.openKeys(log, opened)
	if err != nil {
		return err
	}
	api := server.New(c.serverConfig(metrics, keys, log, c.logger(stderr, c.LogLevelHTTP)))
	web := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 65 * time.Second, ReadTimeout: 5 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	new(silent).watch(web)
	front := newFront(listener, log, c.WriteTimeout)
	web.RegisterOnShutdown(func() { front.hurry(stopPatience) })
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(front) }()
	opened.add("HTTP server", web.Close)

	m, err := c.load(ctx, log, stderr, metrics, opened)
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		log.Info("stopping before the server was ready", "after", time.Since(began).Round(time.Millisecond))
		return nil
	}
	if err != nil {
		return err
	}
	opened.add("memory", newReleaser(goMemory, freeMemory).close)
	api.Serve(m)
	log.Info("The server is fired up and ready to roll!", "address", listener.Addr().String(), "took", time.Since(began).Round(time.Millisecond))
	select {
	case err := <-failed:
		return fmt.Errorf("server stopped: %w", err)
	case <-m.Scorer.Lost():
		return loseDevice(web, m.Scorer.Err())
	case <-ctx.Done():
	}
	log.Info("stopping: admitted requests are answered, new ones refused", "timeout", c.DrainTimeout)
	return c.drain(m, web, log)
}

// stopPatience is how long a stop waits for a client that reads nothing.
const stopPatience = 2 * time.Second

// drain answers what was admitted, for at most --drain-timeout.
func (c *config) drain(m *server.Model, web *http.Server, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	err := m.Scorer.Drain(ctx)
	if web.Shutdown(ctx) != nil {
		log.Warn("connections are closed that are still in use: --drain-timeout is over", "timeout", c.DrainTimeout)
	}
	if lost := m.Scorer.Err(); lost != nil {
		return loseDevice(web, lost)
	}
	return err
}

// load makes the model ready: files, plugin, tokenizer, engines, scorer, in this order, so that what cannot work is found
// before what takes long. What it opens is added to opened. also are told of spans, too.
func (c *config) load(ctx context.Context, log *slog.Logger, stderr io.Writer, metrics *server.Metrics, opened *closers, also ...score.Observer) (*server.Model, error) {
	progress := newProgress(log, progressEvery)
	defer progress.close()
	if err := c.checkFiles(ctx, stderr); err != nil {
		return nil, err
	}
	found, err := c.findModel(ctx, log, progress)
	if err != nil {
		return nil, err
	}
	opened.add("weights", found.weights.Close)
	c.limitMemory(found.config, log)
	progress.set(func() string { return "opening the device's plugin" })
	plugin, splicer, err := c.openPlugin(ctx, found.config, log, stderr)
	if err != nil {
		return nil, err
	}
	opened.add("plugin", plugin.Close)
	progress.set(func() string { return "loading the tokenizer" })
	words, err := openTokenizer(ctx, found, log)
	if err != nil {
		return nil, err
	}
	opened.add("tokenizer", words.Close)
	engines, contextLength, err := c.loadEngines(ctx, plugin, splicer, found, log, progress, opened)
	if err != nil {
		return nil, err
	}
	stats := plugin.Stats()
	log.Info("engines are ready", "devices", len(engines), "buckets", len(engines[0].Buckets()), "compiled", stats.Compiles, "from_cache", stats.CacheHits)
	metrics.Devices(len(engines))
	metrics.WatchDevice(func() server.Device { return deviceOf(plugin.Stats()) })
	metrics.Engine(c.Device, c.Attention)
	var scorer *score.Scorer // before the first request it is there
	profiler := newProfiler(plugin, found.config, c, log, func(ctx context.Context, do func() error) error { return scorer.BetweenSteps(ctx, do) })
	opened.add("profiler", profiler.Close)
	observers, err := c.observers(opened, append(also, metrics, profiler, &drift{log: log})...)
	if err != nil {
		return nil, err
	}
	vocab := min(words.Vocab(), found.config.VocabSize)
	scorer, err = score.New(score.Config{Vocab: vocab, BaseVocab: words.BaseVocab(), ContextLength: contextLength,
		Classes:       score.Classes{Names: found.config.Classes, Activation: score.Activation(found.config.Activation)},
		AllowTruncate: c.AllowTruncate, MaxQueue: c.MaxQueue, MaxTokens: c.MaxTokens, MaxBacklog: c.MaxBacklog, MaxLabels: c.MaxLabels, MaxScores: c.MaxScores,
		KeepPages: c.keepPages(found.config), Watchdog: c.Watchdog, Observer: observers}, words, engines...)
	if err != nil {
		return nil, err
	}
	opened.add("scorer", func() error { scorer.Close(); return nil })
	return &server.Model{Scorer: scorer, Settings: c.settings(), Words: words, Profiler: profiler, Observer: observers, ContextLength: contextLength,
		Vocab: vocab, BaseVocab: words.BaseVocab(), Generated: found.generated}, nil
}

// serverConfig is what of the flags concerns the API.
func (c *config) serverConfig(metrics *server.Metrics, keys *server.Keys, log, access *slog.Logger) server.Config {
	var origins []string
	if c.CORSOrigins != "" {
		origins = strings.Split(c.CORSOrigins, ",")
	}
	return server.Config{ServedModel: c.ServedModelName, ModelPath: c.ModelPath, TokenizerPath: c.tokenizerOr(c.ModelPath), Sampling: quoted(c.Sampling),
		Version: version(), APIKey: c.APIKey, Keys: keys, MaxBody: c.MaxBody, MaxHeld: c.MaxHeld, BodyTimeout: c.BodyTimeout,
		MaxClientRequests: c.MaxClientRequests, RequestTimeout: c.RequestTimeout,
		HealthTimeout: c.variables.HealthTimeout, CORSOrigins: origins, StrictEmptyItems: c.StrictEmptyItems, EmulatePeer: c.ProfileEmulate,
		HealthRoute: c.variables.healthRoute, PredictRoute: c.variables.predictRoute, KeylessPing: c.KeylessPing, SaltByKey: c.CacheSaltByKey,
		DisableDocs: c.variables.NoDocs, Template: c.prompt, Metrics: metrics, Logger: log, Access: access}
}

// quoted is the text as a JSON string, which is how sglang-jax shows its sampling parameters; "" stays "".
func quoted(text string) string {
	if text == "" {
		return ""
	}
	return string(launch.JSON(launch.Text, text))
}

// observers are those that the scorer and the server tell of what they do: the given ones, and a trace exporter if there
// is a collector. On close it sends what it still holds, for at most five seconds.
func (c *config) observers(opened *closers, all ...score.Observer) (score.Observers, error) {
	if c.OTLPEndpoint == "" {
		return all, nil
	}
	exporter, err := trace.New(c.OTLPEndpoint, "scored")
	if err != nil {
		return nil, err
	}
	opened.add("trace exporter", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return exporter.Close(ctx)
	})
	return append(all, exporter), nil
}

func deviceOf(stats pjrt.Stats) server.Device {
	return server.Device{Compiles: stats.Compiles, CacheHits: stats.CacheHits, Buffers: stats.Buffers}
}
