package server

import (
	"errors"
	"net/http"

	"scored/profile"
	"scored/score"
	"scored/sglang"
)

// maxProfileBody is far more than a profile's options need, in bytes.
const maxProfileBody = 64 << 10

// profiling starts and stops profiles, with sglang-jax's paths and texts. Package
// profile knows the rest; here are the request's body, the answers and the errors.
type profiling struct {
	errors  *errorWriter
	bodies  *bodyReader
	emulate bool // Config.EmulateSGLang
}

// start starts a profile, or arms one that starts at a later step.
func (p *profiling) start(w http.ResponseWriter, r *http.Request, m *loaded) {
	p.do(w, r, m, func(profiler *profile.Profiler) error {
		share := p.bodies.hold()
		defer share.release()
		data, err := p.bodies.read(r.Context(), w, r, share, maxProfileBody)
		if err != nil {
			return err
		}
		opts, err := decodeProfile(r.Header.Values("Content-Type"), data)
		if err != nil {
			return err
		}
		return profiler.Start(opts)
	}, "Start profiling.\n")
}

// stop ends the profile, and answers when the files are on disk.
func (p *profiling) stop(w http.ResponseWriter, r *http.Request, m *loaded) {
	p.do(w, r, m, (*profile.Profiler).Stop, "Stop profiling. This will take some time.\n")
}

// do answers with the text if the model has a profiler and the action succeeds, and with
// the error otherwise.
func (p *profiling) do(w http.ResponseWriter, r *http.Request, m *loaded,
	action func(*profile.Profiler) error, text string) {
	if m.Profiler == nil {
		p.errors.write(w, r, errNoProfiler())
		return
	}
	if err := action(m.Profiler); err != nil {
		p.errors.write(w, r, p.fault(err))
		return
	}
	writeBare(w, http.StatusOK, text)
}

// status answers as sglang-jax does: in_progress while a profile is recorded or written,
// otherwise idle, even if one is armed. With ?details=true it adds all that the profiler
// knows.
func (p *profiling) status(w http.ResponseWriter, r *http.Request, m *loaded) {
	if m.Profiler == nil {
		p.errors.write(w, r, errNoProfiler())
		return
	}
	status := "idle"
	if m.Profiler.Running() {
		status = "in_progress"
	}
	if r.URL.Query().Get("details") != "true" {
		writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "status", Value: status}}))
		return
	}
	st := m.Profiler.Status()
	var reason any
	if st.Err != nil {
		reason = st.Err.Error()
	}
	writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "status", Value: status},
		{Key: "state", Value: st.State}, {Key: "dir", Value: st.Dir},
		{Key: "steps", Value: st.Steps}, {Key: "events", Value: st.Events},
		{Key: "dropped", Value: st.Dropped}, {Key: "truncated", Value: st.Truncated},
		{Key: "error", Value: reason}}))
}

// errNoProfiler returns the error of a server that was built without profiles.
func errNoProfiler() error {
	return &apiError{status: http.StatusNotImplemented, kind: "NotImplementedError",
		message: "profiling is not built into this server"}
}

// fault gives a profiler's error its status. sglang-jax answers 500 without a reason to
// every error that its schema does not find; with emulate, so does this server.
func (p *profiling) fault(err error) error {
	answer := &apiError{status: http.StatusInternalServerError, kind: "InternalServerError",
		message: err.Error(), cause: err}
	var option *profile.OptionError
	var dir *profile.DirError
	switch {
	case errors.As(err, new(*apiError)), errors.As(err, new(*score.Error)):
		return err
	case p.emulate:
		return &apiError{status: http.StatusInternalServerError, plain: "Internal Server Error",
			cause: err}
	case errors.Is(err, profile.ErrRunning), errors.Is(err, profile.ErrIdle):
		answer.status, answer.kind = http.StatusConflict, "ConflictError"
	case errors.Is(err, profile.ErrClosed):
		answer.status, answer.kind = http.StatusServiceUnavailable, "ServiceUnavailableError"
	case errors.As(err, &option):
		answer.status, answer.kind, answer.param = http.StatusBadRequest, "BadRequestError", option.Option
	case errors.As(err, &dir):
		answer.param = "output_dir"
		answer.kind = "BadRequestError"
		answer.status = map[profile.DirFault]int{
			profile.DirInvalid:   http.StatusBadRequest,
			profile.DirForbidden: http.StatusForbidden,
			profile.DirFull:      http.StatusInsufficientStorage,
			profile.DirBroken:    http.StatusInternalServerError,
		}[dir.Fault]
	}
	return answer
}

// decodeProfile reads the body of /start_profile, in the order of sglang-jax's
// declaration. Tracer levels and counts beyond 64 bits saturate.
func decodeProfile(contentType []string, data []byte) (opts profile.Options, err error) {
	object, err := sglang.DecodeOptional("ProfileReqInput", contentType, data, decodedBytes)
	if err != nil || object == nil {
		return opts, badBody(err)
	}
	f := &sglang.Fields{Object: object}
	opts.OutputDir = string(f.Text("output_dir"))
	opts.StartStep = count(f, "start_step")
	opts.NumSteps = count(f, "num_steps")
	opts.HostTracerLevel = narrowed(count(f, "host_tracer_level"))
	opts.PythonTracerLevel = narrowed(count(f, "python_tracer_level"))
	// sglang-jax's schema does not know this field and accepts anything.
	level := &sglang.Fields{Object: object}
	opts.DeviceTracerLevel = narrowed(count(level, "device_tracer_level"))
	count(f, "stage_id") // for models with several stages; here there is one
	opts.ByStage = f.Bool("profile_by_stage", false)
	for _, stage := range f.Texts("profile_stages") {
		opts.Stages = append(opts.Stages, string(stage))
	}
	for _, key := range object.Keys {
		if key.Surrogate() {
			// pydantic stops at the first such key
			f.Faults = []sglang.Fault{sglang.NewFault("string_unicode", key)}
			break
		}
	}
	if f.Failed() {
		return opts, badRequest(sglang.Describe(f.Faults))
	}
	return opts, nil
}

// count reads an integer, saturated to 64 bits; nil if it is absent or at fault. No
// server runs so many steps, so a saturated count means the same.
func count(f *sglang.Fields, field string) *int64 {
	n, ok := f.Int(field)
	if !ok {
		return nil
	}
	value := n.Int64()
	return &value
}

// narrowed converts n to an int; nil stays nil.
func narrowed(n *int64) *int {
	if n == nil {
		return nil
	}
	value := int(*n)
	return &value
}
