package app

import (
	"context"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/profile"
	"scored/score"
	"scored/target"
)

// newProfiler returns the profiler of a plugin's devices, which run the model.
// betweenSteps is the Scorer's: a profile starts and stops with no step queued. The
// caller must close the profiler before the plugin.
func newProfiler(plugin *pjrt.Plugin, cfg checkpoint.Config, device *Device,
	betweenSteps func(context.Context, func() error) error) *profile.Profiler {
	o := device.options
	c := profile.Config{DefaultDir: o.ProfileDir, Root: o.ProfileRoot, EmulateSGLang: o.ProfileEmulate,
		Cost: stepCost(plugin.Programs, cfg, model.RunsOf(cfg.Layers, device.Target.Group)), Log: o.Log}
	if kinds := plugin.Info().Devices; len(kinds) > 0 {
		c.DeviceName = kinds[0]
	}
	if tracer, err := plugin.Profiler(); err == nil {
		c.Device, c.BetweenSteps = tracer, betweenSteps
	} else {
		o.Log.Debug("profiles show steps but no operations", "reason", err)
	}
	return profile.New(c)
}

// stepCost returns a function that adds up what the plugin reports as the costs of a
// step's programs: the embedding and all layers, group layers in a program. The head is
// left out, as its rows and width depend on the labels. If the plugin reports no costs,
// as that of the CPU does, the model's own count of operations is used, and no bytes.
func stepCost(programs func() []pjrt.Program, cfg checkpoint.Config,
	steps model.Runs) func(score.Bucket) (flops, bytes float64) {
	return func(b score.Bucket) (flops, bytes float64) {
		runs := steps.Body(b)
		seen := map[string]bool{} // each device has its own copy
		for _, p := range programs() {
			if n := float64(runs[p.Name]); n > 0 && !seen[p.Name] {
				seen[p.Name] = true
				flops += n * p.Cost.Flops
				bytes += n * p.Cost.BytesAccessed
			}
		}
		if flops == 0 {
			costs := model.Costs{Config: cfg, Attention: target.Native, Weights: target.Float32}
			flops = costs.Work(b, b.Context).Flops()
		}
		return flops, bytes
	}
}
