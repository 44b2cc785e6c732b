package server

import (
	"errors"
	"fmt"
	"net/http"

	"scored/profile"
	"scored/score"
	"scored/server/internal/python"
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
		writeJSON(w, http.StatusOK, `{"status":"`+status+`"}`)
		return
	}
	st, reason := p.Status(), "null"
	if st.Err != nil {
		reason = quote(st.Err.Error())
	}
	writeJSON(w, http.StatusOK, fmt.Sprintf(`{"status":"%s","state":"%s","dir":%s,"steps":%d,"events":%d,"dropped":%d,"truncated":%t,"error":%s}`,
		status, st.State, quote(st.Dir), st.Steps, st.Events, st.Dropped, st.Truncated, reason))
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

// decodeProfile reads the body of /start_profile: optional, of any content type, though only JSON is parsed. Tracer levels
// and counts beyond what a machine holds saturate.
func decodeProfile(contentType []string, data []byte) (opts profile.Options, err error) {
	if len(data) == 0 {
		return opts, nil
	}
	parse, _ := jsonContent(contentType)
	var value python.Value = python.Bytes(data)
	if parse {
		if value, err = python.Decode(data, decodedBytes); err != nil {
			return opts, jsonError(err)
		}
	}
	object, ok := value.(*python.Object)
	switch {
	case value == nil:
		return opts, nil
	case !ok:
		f := newFault("dataclass_type", value)
		f.ctx = "{'class_name': 'ProfileReqInput'}"
		return opts, badRequest(describe([]fault{f}))
	}
	d := profileDecoder{object: object}
	opts.OutputDir = d.text("output_dir")
	opts.StartStep = d.integer("start_step")
	opts.NumSteps = d.integer("num_steps")
	opts.HostTracerLevel = narrowed(d.integer("host_tracer_level"))
	opts.PythonTracerLevel = narrowed(d.integer("python_tracer_level"))
	if v, ok := object.Get("device_tracer_level"); ok { // unknown to the peer's schema, which lets anything pass
		if n, kind := laxInt(v); kind == "" {
			level := n.Int64()
			opts.DeviceTracerLevel = narrowed(&level)
		}
	}
	d.integer("stage_id") // of models with several stages; there is one here
	opts.ByStage = d.boolean("profile_by_stage")
	opts.Stages = d.texts("profile_stages")
	for _, key := range object.Keys {
		if key.Surrogate() {
			d.faults = []fault{newFault("string_unicode", key)} // the peer gives up on the first such key
			break
		}
	}
	if len(d.faults) > 0 {
		return opts, badRequest(describe(d.faults))
	}
	return opts, nil
}

// profileDecoder reads fields in the model's order and keeps their faults. A null is as good as absent.
type profileDecoder struct {
	object *python.Object
	faults []fault
}

func (d *profileDecoder) fault(kind string, v python.Value, loc ...any) {
	d.faults = append(d.faults, newFault(kind, v, loc...))
}

func (d *profileDecoder) text(field string) string {
	v, _ := d.object.Get(python.String(field))
	s, ok := v.(python.String)
	if v != nil && !ok {
		d.fault("string_type", v, field)
	}
	return string(s)
}

func (d *profileDecoder) integer(field string) *int64 {
	v, _ := d.object.Get(python.String(field))
	if v == nil {
		return nil
	}
	n, kind := laxInt(v)
	if kind != "" {
		d.fault(kind, v, field)
	}
	value := n.Int64()
	return &value
}

func (d *profileDecoder) boolean(field string) bool {
	v, _ := d.object.Get(python.String(field))
	if v == nil {
		return false
	}
	value, kind := laxBool(v)
	if kind != "" {
		d.fault(kind, v, field)
	}
	return value
}

func (d *profileDecoder) texts(field string) (all []string) {
	v, _ := d.object.Get(python.String(field))
	list, ok := listOf(v)
	if v != nil && !ok {
		d.fault("list_type", v, field)
	}
	for i, item := range list {
		s, ok := item.(python.String)
		if !ok {
			d.faults = addFaults(d.faults, newFault("string_type", item, field, i))
		}
		all = append(all, string(s))
	}
	return all
}

func narrowed(n *int64) *int {
	if n == nil {
		return nil
	}
	value := int(*n)
	return &value
}
