package checkpoint

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openRegular opens a regular file and refuses anything else that a path may name. A
// pipe would wait for a writer, so the file is opened without blocking, and a device
// may give bytes for ever. The caller closes the file.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file; name a folder with the model's files", path)
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, nil, err
	}
	return file, info, nil
}

// readRegular reads a whole regular file of at most most bytes.
func readRegular(path string, most int64) ([]byte, error) {
	file, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d of any such file; download it again",
			path, info.Size(), most)
	}
	return io.ReadAll(file)
}

// Bounds of files in bytes, far above those of every known model. They turn a wrong
// file into an error instead of an allocation.
const (
	maxConfig = 16 << 20
	maxIndex  = 256 << 20
)
