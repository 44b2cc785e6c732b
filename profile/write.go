package profile

import (
	"io"

	"google.golang.org/protobuf/proto"
)

// write publishes the trace and returns the folder of its two files. It runs after the recording has ended, when nothing
// of it changes any more.
func (s *session) write(deviceSpace []byte) (string, error) {
	space := s.space()
	if deviceSpace != nil {
		if err := merge(space, deviceSpace, s.begin); err != nil {
			space.Errors = append(space.Errors, err.Error())
		}
	}
	s.spans.chunks = nil // space has it all; the encoding needs the memory
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
