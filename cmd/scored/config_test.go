package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
	"scored/score/scoretest"
	"scored/target"
)

func environment(pairs ...string) lookup {
	return func(name string) (string, bool) {
		i := slices.Index(pairs, name)
		if i < 0 {
			return "", false
		}
		return pairs[i+1], true
	}
}

// engineOptions are those of the flags for a model of this shape.
func (c *config) engineOptions(cfg checkpoint.Config) (model.Options, int, error) {
	return app.NewDevice(c.checked).EngineOptions(cfg)
}

func TestConfig(t *testing.T) {
	c, err := parseServe([]string{"--model", "a/b", "--port=8000", "--buckets", "64x1x64x0,32x2x16x128"}, environment("SCORED_MAX_QUEUE", "7", "SCORED_PORT", "1"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.ModelPath != "a/b" || c.ServedModelName != "a/b" || c.Port != 8000 || c.MaxQueue != 7 {
		t.Errorf("config is %+v; want model a/b served by its path, port 8000 from the flag and queue 7 from the environment", c)
	}
	options, _, err := c.engineOptions(tinyShape(t))
	if err != nil {
		t.Fatal(err)
	}
	var shapes []string
	for _, b := range options.Buckets {
		shapes = append(shapes, bucketText(b))
	}
	if want := []string{"64x1x64x0", "32x2x16x128"}; !slices.Equal(shapes, want) {
		t.Errorf("buckets are %q, want %q", shapes, want)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  lookup
		want string
	}{
		"no model":         {nil, environment(), "--model-path"},
		"unknown flag":     {[]string{"--model", "m", "--modle", "x"}, environment(), "modle"},
		"stray word":       {[]string{"--model", "m", "x"}, environment(), `"x" is not a flag`},
		"port too large":   {[]string{"--model", "m", "--port", "70000"}, environment(), "--port"},
		"wrong dtype":      {[]string{"--model", "m", "--dtype", "int8"}, environment(), "--dtype"},
		"wrong key word":   {[]string{"--model", "m", "--load-format", "gguf"}, environment(), "--load-format"},
		"wrong buckets":    {[]string{"--model", "m", "--buckets", "64x1x64"}, environment(), "--buckets"},
		"bucket of zero":   {[]string{"--model", "m", "--buckets", "64x0x64x0"}, environment(), "--buckets"},
		"wrong variable":   {[]string{"--model", "m"}, environment("SCORED_PORT", "x"), "SCORED_PORT"},
		"context too long": {[]string{"--model", "m", "--context-length", "-1"}, environment(), "--context-length"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseServe(c.args, c.env, io.Discard)
			var wrong app.UsageError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want a usage error naming %s", err, c.want)
			}
		})
	}
}

func TestKeyIsNotShown(t *testing.T) {
	c, err := parseServe([]string{"--model", "m", "--api-key", "hush"}, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	c.logger(&shown, "").Info("starting", c.shown()...)
	if strings.Contains(shown.String(), "hush") || !strings.Contains(shown.String(), "api_key=(set)") {
		t.Errorf("log shows %s", shown.String())
	}
}

// pricedBuckets are a target's step shapes for Qwen3-0.6B, with its own price.
func pricedBuckets(t target.Target, contextLength int) []score.Bucket {
	buckets := t.Ladders[target.Native](contextLength)
	costs := model.Costs{Config: checkpoint.Qwen3_0_6B(), Attention: target.Native, Weights: t.Weights}
	costs.Predict(buckets, t, t.Price(target.Native, t.Weights))
	return buckets
}

// TestDefaultBuckets: every prompt below the context length fits, whatever that is.
func TestDefaultBuckets(t *testing.T) {
	for _, contextLength := range []int{64, 128, 2048, 4096, 10_000, 40_960, 131_072} {
		cpu, _ := target.Find("cpu", "")
		buckets := pricedBuckets(cpu, contextLength)
		s, err := score.New(score.Config{Vocab: 10, ContextLength: contextLength}, nil, engineOf(buckets))
		if err != nil {
			t.Errorf("context length %d: %v", contextLength, err)
			continue
		}
		s.Close()
	}
}

type engineOf []score.Bucket

func (e engineOf) Buckets() []score.Bucket                { return e }
func (e engineOf) Pages() int                             { return scoretest.ManyPages }
func (e engineOf) Run(*score.Step) (score.Pending, error) { return nil, errors.New("no device") }
