package profile

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
)

// write publishes the trace and returns the folder of its two files. encoded is the
// device tracer's XSpace, or nil. It must be called after the recording has ended.
func (s *session) write(encoded []byte) (string, error) {
	device, err := s.device(encoded)
	space := s.space(tracedDevice(device))
	if err != nil {
		space.Errors = append(space.Errors, err.Error())
	}
	if device != nil {
		merge(space, device)
	}
	s.spans.chunks = nil // space has all of it, and the encoding needs the memory
	host := s.p.cfg.Host
	truncated := s.timedOut || s.spans.dropped > 0
	return s.folder.publish(s.begin, []content{
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

// device decodes the device tracer's XSpace. It returns nil if encoded is nil or
// invalid.
func (s *session) device(encoded []byte) (*xplane.XSpace, error) {
	if encoded == nil {
		return nil, nil
	}
	if limit := s.p.cfg.MaxDeviceBytes; int64(len(encoded)) > limit {
		return nil, fmt.Errorf("device trace of %d bytes is left out, for it is larger than %d: "+
			"record fewer steps", len(encoded), limit)
	}
	space, err := readDevice(encoded, s.begin, s.tracing)
	if err == nil && s.plan.limit != unlimited {
		cutBehind(space, s.end.Sub(s.begin))
	}
	return space, err
}
