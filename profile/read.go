package profile

import (
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
)

// maxTrace bounds the size of a trace in bytes: protobuf itself ends at 2 GiB.
const maxTrace = 2 << 30

// readSpace reads an .xplane.pb of any profiler. The messages here have the fields that
// are read; a decoder of protobuf keeps the others as they are.
func readSpace(path string) (*xplane.XSpace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	encoded, err := io.ReadAll(io.LimitReader(f, maxTrace))
	if err != nil {
		return nil, err
	}
	space := new(xplane.XSpace)
	if err := proto.Unmarshal(encoded, space); err != nil {
		return nil, fmt.Errorf("trace %s is not an XSpace: %w", path, err)
	}
	return space, nil
}
