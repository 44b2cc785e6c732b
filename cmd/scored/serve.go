package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/pkg/core/dtypes"

	"scored/model"
	"scored/pjrt"
	"scored/score"
	"scored/server"
	"scored/tokenizer"
)

// serve runs the server until ctx ends, then drains it and closes everything in reverse order.
func serve(ctx context.Context, args []string, env lookup, stderr io.Writer) (err error) {
	began := time.Now()
	c, err := parseConfig(args, env, stderr)
	if err != nil {
		return err
	}
	log := c.logger(stderr)
	log.Info("starting", c.shown()...)

	listener, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("address is not free: %w; is another copy running? choose another --port", err)
	}
	api := server.New(server.Config{ServedModel: c.ServedModelName, ModelPath: c.ModelPath, TokenizerPath: c.tokenizerOr(c.ModelPath),
		APIKey: c.APIKey, MaxBody: c.MaxBody, Logger: log})
	web := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 65 * time.Second, ReadTimeout: 5 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	defer func() { err = errors.Join(err, web.Close()) }()

	found, err := c.findModel(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.weights.Close()) }()
	words, err := tokenizer.Open(found.tokenizer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, words.Close()) }()
	plugin, err := c.openPlugin(ctx, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plugin.Close()) }()
	options, contextLength, err := c.engineOptions(found.config)
	if err != nil {
		return err
	}
	engine, err := model.New(plugin.Backend(), found.config, found.weights, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	vocab := min(words.Vocab(), found.config.VocabSize)
	scorer, err := score.New(score.Config{Vocab: vocab, BaseVocab: words.BaseVocab(), ContextLength: contextLength,
		AllowTruncate: c.AllowTruncate, MaxQueue: c.MaxQueue, Watchdog: c.Watchdog}, words, engine)
	if err != nil {
		return err
	}
	defer scorer.Close()

	api.Serve(&server.Model{Scorer: scorer, Words: words, ContextLength: contextLength, Vocab: vocab, BaseVocab: words.BaseVocab(),
		Generated: found.generated})
	stats := plugin.Stats()
	log.Info("The server is fired up and ready to roll!", "address", listener.Addr().String(), "took", time.Since(began).Round(time.Millisecond),
		"buckets", len(options.Buckets), "compiled", stats.Compiles, "from_cache", stats.CacheHits)
	select {
	case err := <-failed:
		return fmt.Errorf("server stopped: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping: admitted requests are answered, new ones refused", "timeout", c.DrainTimeout)
	drain, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	return errors.Join(scorer.Drain(drain), web.Shutdown(drain))
}

func (c *config) openPlugin(ctx context.Context, stderr io.Writer) (*pjrt.Plugin, error) {
	name := c.Plugin
	if name == "" {
		name = c.Device
	}
	path, err := pjrt.Resolve(ctx, name, pjrt.FetchOptions{Folder: c.PluginDir, Offline: c.Offline, Progress: stderr})
	if err != nil {
		return nil, err
	}
	return pjrt.Open(path, pjrt.Options{CacheDir: c.CompileCache, Logger: c.logger(stderr)})
}

// engineOptions chooses dtypes and buckets for the device.
func (c *config) engineOptions(cfg model.Config) (options model.Options, contextLength int, err error) {
	contextLength = c.ContextLength
	if contextLength == 0 {
		contextLength = cfg.MaxPositions
	}
	options = model.Options{DType: dtypes.BFloat16, PrefixCacheBytes: c.PrefixCacheBytes}
	if c.Device == "cpu" {
		options.Products = dtypes.Float32 // as fast as bfloat16 there, and exact
	}
	switch c.DType {
	case "float32", "float":
		options.DType = dtypes.Float32
	case "auto":
		if c.Device == "cpu" {
			options.DType = dtypes.Float32
		}
	}
	if options.Buckets, err = c.parseBuckets(); err != nil {
		return options, 0, err
	}
	if options.Buckets == nil {
		options.Buckets = cfg.Buckets(contextLength)
	}
	for i := range options.Buckets {
		options.Buckets[i].Cost = cfg.Cost(options.Buckets[i])
	}
	return options, contextLength, nil
}
