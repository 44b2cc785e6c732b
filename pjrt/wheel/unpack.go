package wheel

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// unpack extracts a wheel, which is a zip, into a folder. Executable files stay
// executable: the CUDA plugin runs ptxas. Several wheels go into one folder, so files
// that are there already are left as they are.
func unpack(ctx context.Context, wheelPath, dir string) error {
	archive, err := zip.OpenReader(wheelPath)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, member := range archive.File {
		if member.FileInfo().IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := extract(member, dir); err != nil {
			return fmt.Errorf("%s: %w", member.Name, err)
		}
	}
	return nil
}

// extract writes one file of a wheel below dir. It refuses names that lead out of dir,
// and links, which later names could lead through.
func extract(member *zip.File, dir string) (err error) {
	if !filepath.IsLocal(member.Name) || !member.Mode().IsRegular() {
		return errors.New("is not a plain file within the wheel")
	}
	path := filepath.Join(dir, filepath.FromSlash(member.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := member.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644|member.Mode().Perm()&0o111)
	if errors.Is(err, os.ErrExist) {
		return nil // namespace packages repeat their __init__.py
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Digest returns the sha256 of a file, in hexadecimal.
func Digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
