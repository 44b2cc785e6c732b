package profile

import "fmt"

// prefill is the only stage of inference that scoring has.
const prefill = "prefill"

// stageSteps is how many steps a session by stage records by default.
const stageSteps = 5

// unlimited means that a session records steps until Stop.
const unlimited = -1

// plan is what a session will do, as derived from Options. It does not change.
type plan struct {
	opts   Options
	dir    string // the folder that gets plugins/profile/...
	armed  bool   // the session begins with step from, not at once
	from   int64  // number of the first step that counts; 0: any
	limit  int64  // number of steps to record, or unlimited
	host   int    // tracer level of the host
	device int    // tracer level of the device
	blind  bool   // its stages never run: there is nothing to record
	hold   bool   // stays in progress after its last step, until Stop
}

// plan checks the options and applies defaults. The error is an *OptionError.
func (p *Profiler) plan(opts Options) (plan, error) {
	pl := plan{opts: opts, dir: orDefault(opts.OutputDir, p.cfg.DefaultDir), limit: unlimited}
	var err error
	if pl.host, err = level("host_tracer_level", opts.HostTracerLevel, 2); err != nil {
		return plan{}, err
	}
	if pl.device, err = level("device_tracer_level", opts.DeviceTracerLevel, 1); err != nil {
		return plan{}, err
	}
	if n := opts.NumSteps; n != nil && *n < 0 {
		return plan{}, &OptionError{"num_steps", fmt.Sprintf("is %d: it must not be negative", *n)}
	} else if n != nil && *n > 0 {
		pl.limit = *n
	}
	if opts.ByStage {
		return p.planStages(pl)
	}
	if s := opts.StartStep; s != nil && *s != 0 {
		pl.armed, pl.from = true, *s
	}
	if p.cfg.EmulateSGLang && !pl.armed && pl.limit > 0 {
		pl.limit-- // sglang-jax counts a step before it records it
	}
	return pl, nil
}

// planStages completes the plan of a session by stage. The session ends after its last
// prefill step, because no decode step ever comes. sglang-jax waits for one: with
// Config.EmulateSGLang a session that has the stage "decode" stays in progress until
// Stop.
func (p *Profiler) planStages(pl plan) (plan, error) {
	stages := pl.opts.Stages
	if len(stages) == 0 {
		stages = []string{prefill, "decode"}
	}
	if pl.limit == unlimited {
		pl.limit = stageSteps
	}
	if p.cfg.EmulateSGLang {
		pl.limit++
	}
	pl.blind = true
	for _, stage := range stages {
		switch stage {
		case prefill:
			pl.blind = false
		case "decode":
			pl.hold = p.cfg.EmulateSGLang
		default:
			return plan{}, &OptionError{"profile_stages",
				fmt.Sprintf("has %q: the stages are \"prefill\" and \"decode\"", stage)}
		}
	}
	if pl.blind {
		pl.device = 0
	}
	pl.dir += "/" + prefill
	return pl, nil
}

// level returns a tracer's level; otherwise, if none is given.
func level(option string, given *int, otherwise int) (int, error) {
	if given == nil {
		return otherwise, nil
	}
	if *given < 0 {
		return 0, &OptionError{option, fmt.Sprintf("is %d: it must not be negative", *given)}
	}
	return *given, nil
}
