package profile

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
)

// write publishes the trace of what was recorded, and returns the folder of its two
// files: the XSpace for XProf and TensorBoard, and Chrome's format for Perfetto. encoded
// is the device tracer's XSpace, or nil. write empties all.
func (s *session) write(all *recorded, encoded []byte) (string, error) {
	begin, truncated := all.begin, all.truncated()
	space := s.merged(all, encoded)
	*all = recorded{} // space has all of it, and the encoding needs the memory
	host := s.p.cfg.Host
	return s.folder.publish(begin, []content{
		{host + ".xplane.pb", func(w io.Writer) error {
			encoded, err := proto.Marshal(space)
			if err == nil {
				_, err = w.Write(encoded)
			}
			return err
		}},
		{host + ".trace.json.gz", func(w io.Writer) error {
			return writeChrome(w, space, s.p.cfg.MaxChromeEvents, truncated)
		}},
	})
}

// merged builds the XSpace of what was recorded, with the device tracer's part. A part
// that cannot be read becomes an error in the space: the rest is still of use.
func (s *session) merged(all *recorded, encoded []byte) *xplane.XSpace {
	device, err := s.device(all, encoded)
	build := spaceBuilder{cfg: &s.p.cfg, plan: s.plan, recorded: all, traced: tracedDevice(device)}
	space := build.space()
	space.Warnings = append(s.warnings, space.Warnings...)
	if err != nil {
		space.Errors = append(space.Errors, err.Error())
	}
	if device != nil {
		merge(space, device)
	}
	return space
}

// device decodes the device tracer's XSpace. It returns nil if encoded is nil or
// invalid.
func (s *session) device(all *recorded, encoded []byte) (*xplane.XSpace, error) {
	if encoded == nil {
		return nil, nil
	}
	if limit := s.p.cfg.MaxDeviceBytes; int64(len(encoded)) > limit {
		return nil, fmt.Errorf("device trace of %d bytes is left out, for it is larger than %d: "+
			"record fewer steps", len(encoded), limit)
	}
	space, err := readDevice(encoded, all.begin, s.tracing)
	if err == nil && s.plan.limit != unlimited {
		cutBehind(space, all.end.Sub(all.begin))
	}
	return space, err
}
