package pjrt

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// writeAtomically creates or replaces a file with what write writes to it. Other
// processes see the old file or the new one, and after a crash one of them is on the
// disk complete. After an error the old file stays, if there was one.
func writeAtomically(path string, mode os.FileMode, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), partPrefix+"*")
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
