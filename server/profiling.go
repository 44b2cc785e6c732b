package server

import (
	"errors"
	"net/http"

	"scored/profile"
	"scored/score"
	"scored/sglang"
)

// maxProfileBody is far above what a profile's options take.
const maxProfileBody = 64 << 10

// handleStartProfile begins or arms a session.
func (s *Server) handleStartProfile(w http.ResponseWriter, r *http.Request) {
	p, ok := s.profiler(w, r)
	if !ok {
		return
	}
	share := &holding{of: &s.held}
	defer share.release()
	data, err := s.readBody(r.Context(), w, r, share, min(s.cfg.MaxBody, maxProfileBody))
	if err == nil {
		var opts profile.Options
		if opts, err = decodeProfile(r.Header.Values("Content-Type"), data); err == nil {
			err = p.Start(opts)
		}
	}
	if err != nil {
		s.writeError(w, r, s.profileError(err))
		return
	}
	writeBare(w, http.StatusOK, "Start profiling.\n")
}

// handleStopProfile answers when the files are on disk.
func (s *Server) handleStopProfile(w http.ResponseWriter, r *http.Request) {
	p, ok := s.profiler(w, r)
	if !ok {
		return
	}
	if err := p.Stop(); err != nil {
		s.writeError(w, r, s.profileError(err))
		return
	}
	writeBare(w, http.StatusOK, "Stop profiling. This will take some time.\n")
}

// handleProfileStatus answers as the peer does, and with everything there is to know if asked for ?details=true.
func (s *Server) handleProfileStatus(w http.ResponseWriter, r *http.Request) {
	p, ok := s.profiler(w, r)
	if !ok {
		return
	}
	status := "idle"
	if p.Running() {
		status = "in_progress"
	}
	if r.URL.Query().Get("details") != "true" {
		writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "status", Value: status}}))
		return
	}
	st := p.Status()
	var reason any
	if st.Err != nil {
		reason = st.Err.Error()
	}
	writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "status", Value: status}, {Key: "state", Value: st.State}, {Key: "dir", Value: st.Dir},
		{Key: "steps", Value: st.Steps}, {Key: "events", Value: st.Events}, {Key: "dropped", Value: st.Dropped}, {Key: "truncated", Value: st.Truncated},
		{Key: "error", Value: reason}}))
}

func (s *Server) profiler(w http.ResponseWriter, r *http.Request) (*profile.Profiler, bool) {
	m, ok := s.ready(w, r)
	if ok && m.Profiler == nil {
		s.writeError(w, r, &apiError{status: http.StatusNotImplemented, kind: "NotImplementedError", message: "profiling is not built into this server"})
		return nil, false
	}
	if !ok {
		return nil, false
	}
	return m.Profiler, true
}

// profileError gives a profiler's error its status. The peer answers 500 without a reason to all that is not the schema's.
func (s *Server) profileError(err error) error {
	answer := &apiError{status: http.StatusInternalServerError, kind: "InternalServerError", message: err.Error(), cause: err}
	var option *profile.OptionError
	var dir *profile.DirError
	switch {
	case errors.As(err, new(*apiError)), errors.As(err, new(*score.Error)):
		return err
	case s.cfg.EmulatePeer:
		return &apiError{status: http.StatusInternalServerError, plain: "Internal Server Error", cause: err}
	case errors.Is(err, profile.ErrRunning), errors.Is(err, profile.ErrIdle):
		answer.status, answer.kind = http.StatusConflict, "ConflictError"
	case errors.Is(err, profile.ErrClosed):
		answer.status, answer.kind = http.StatusServiceUnavailable, "ServiceUnavailableError"
	case errors.As(err, &option):
		answer.status, answer.kind, answer.param = http.StatusBadRequest, "BadRequestError", option.Option
	case errors.As(err, &dir):
		answer.param = "output_dir"
		answer.status, answer.kind = map[profile.DirFault]int{profile.DirInvalid: http.StatusBadRequest, profile.DirForbidden: http.StatusForbidden,
			profile.DirFull: http.StatusInsufficientStorage, profile.DirBroken: http.StatusInternalServerError}[dir.Fault], "BadRequestError"
	}
	return answer
}

// decodeProfile reads the body of /start_profile in the model's order. Tracer levels and counts beyond what a machine holds
// saturate.
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
	level := &sglang.Fields{Object: object} // unknown to sglang-jax's schema, which lets anything pass
	opts.DeviceTracerLevel = narrowed(count(level, "device_tracer_level"))
	count(f, "stage_id") // of models with several stages; there is one here
	opts.ByStage = f.Bool("profile_by_stage", false)
	for _, stage := range f.Texts("profile_stages") {
		opts.Stages = append(opts.Stages, string(stage))
	}
	for _, key := range object.Keys {
		if key.Surrogate() {
			f.Faults = []sglang.Fault{sglang.NewFault("string_unicode", key)} // pydantic gives up on the first such key
			break
		}
	}
	if f.Failed() {
		return opts, badRequest(sglang.Describe(f.Faults))
	}
	return opts, nil
}

// count reads an integer; nil if it is absent or at fault.
func count(f *sglang.Fields, field string) *int64 {
	n, ok := f.Int(field)
	if !ok {
		return nil
	}
	value := n.Int64()
	return &value
}

func narrowed(n *int64) *int {
	if n == nil {
		return nil
	}
	value := int(*n)
	return &value
}
