package profile

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runs is where TensorBoard and XProf look for traces below a log folder. Each trace
// has a folder named by the time in the form stamp.
const (
	runs  = "plugins/profile"
	stamp = "2006_01_02_15_04_05"
)

// folder is an output folder that is held open, so that files get into it even if its
// path is renamed during the session. All names go through os.Root, so no symbolic link
// leads out of it.
type folder struct {
	dir    string
	root   *os.Root
	create func(name string) (file, error) // replaced by tests
}

// file is an open file of a folder. Tests replace it to simulate a full disk.
type file interface {
	io.WriteCloser
	Sync() error
}

// openFolder creates dir if it is missing, and writes and removes a file of 64 KiB in it:
// a full disk or a read-only one should show at the start of a session, not after it. If
// root is not "", dir must be below root. The error is a *DirError. The caller must close
// the folder.
func openFolder(root, dir string) (*folder, error) {
	handle, err := openDir(root, dir)
	if err != nil {
		return nil, dirError(dir, root, err)
	}
	f := &folder{dir: dir, root: handle}
	f.create = func(name string) (file, error) {
		return handle.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	}
	probe := ".scored-" + strconv.FormatUint(rand.Uint64(), 36)
	err = f.put(probe, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 64<<10))
		return err
	})
	if err := errors.Join(err, handle.Remove(probe)); err != nil {
		f.close()
		return nil, dirError(dir, root, err)
	}
	return f, nil
}

// openDir opens dir, and creates it if it is missing. With a root it is created through
// an os.Root, so that a symbolic link below root cannot lead out of it.
func openDir(root, dir string) (*os.Root, error) {
	if strings.Contains(dir, "://") {
		return nil, &DirError{Dir: dir, Fault: DirInvalid,
			Err: errors.New("traces go to local folders only, from where they can be uploaded")}
	}
	if !filepath.IsAbs(dir) {
		return nil, &DirError{Dir: dir, Fault: DirInvalid, Err: errors.New("the path is relative")}
	}
	if root == "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		return os.OpenRoot(dir)
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, &DirError{Dir: dir, Fault: DirForbidden,
			Err: errors.New("traces must stay below " + root)}
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	outer, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer outer.Close()
	if err := outer.MkdirAll(rel, 0o755); err != nil {
		return nil, err
	}
	return outer.OpenRoot(rel)
}

// dirError classifies an error of the file system. A *DirError stays as it is.
func dirError(dir, root string, err error) *DirError {
	var known *DirError
	if errors.As(err, &known) {
		return known
	}
	fault := DirBroken
	var errno syscall.Errno
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		fault = DirFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		fault = DirForbidden
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EEXIST),
		errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ELOOP):
		fault = DirInvalid
	case root != "" && !errors.As(err, &errno): // an error of os.Root: a symbolic link leads out
		fault = DirForbidden
	}
	return &DirError{Dir: dir, Fault: fault, Err: err}
}

// close closes the folder. Files that are written stay.
func (f *folder) close() { f.root.Close() }

// content is a file of a trace: its name, and what writes it.
type content struct {
	name  string
	write func(io.Writer) error
}

// publish writes the files of a trace and returns their folder. All files appear at
// once, synced to disk, or none does: then the error is a *DirError and nothing is left
// behind. If the second of at has a trace already, the next free second is used.
func (f *folder) publish(at time.Time, files []content) (string, error) {
	dir, err := f.tryPublish(at, files)
	if err != nil {
		for _, name := range []string{runs, filepath.Dir(runs)} {
			_ = f.root.Remove(name) // fails if the folder holds other traces, as it should
		}
		return "", dirError(f.dir, "", err)
	}
	return filepath.Join(f.dir, dir), nil
}

// tryPublish writes the files to a hidden folder and renames that, so that a viewer never
// sees half a trace. It returns the folder's path below f.dir.
func (f *folder) tryPublish(at time.Time, files []content) (string, error) {
	temporary := runs + "/." + at.Format(stamp) + "-" + strconv.FormatUint(rand.Uint64(), 36)
	if err := f.root.MkdirAll(temporary, 0o755); err != nil {
		return "", err
	}
	for _, c := range files {
		if err := f.put(temporary+"/"+c.name, c.write); err != nil {
			_ = f.root.RemoveAll(temporary) // what cannot be removed is hidden from viewers
			return "", err
		}
	}
	// Lstat first: a rename would replace a folder that is there and empty. Another process
	// may take the name in between; then the rename fails, and the next second is tried.
	for {
		final := runs + "/" + at.Format(stamp)
		_, err := f.root.Lstat(final)
		if errors.Is(err, fs.ErrNotExist) {
			if err = f.root.Rename(temporary, final); err == nil {
				return final, f.syncDir(runs)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			_ = f.root.RemoveAll(temporary) // what cannot be removed is hidden from viewers
			return "", err
		}
		at = at.Add(time.Second)
	}
}

// put writes a file and syncs it to disk: some file systems report a full disk only then.
func (f *folder) put(name string, write func(io.Writer) error) error {
	out, err := f.create(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 256<<10)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

// syncDir syncs a folder's entries to disk, so that the rename survives a crash.
func (f *folder) syncDir(name string) error {
	dir, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// fileStem returns a host's name with an underscore for each character that cannot be in
// a file's name.
func fileStem(host string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == filepath.Separator || r < ' ' {
			return '_'
		}
		return r
	}, host)
}
