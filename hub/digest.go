package hub

import (
	"cmp"
	"context"
	"crypto/sha1" // git names small files by it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	listTimeout  = 15 * time.Second // for the hub's list of files
	maxListBytes = 64 << 20         // far above any model's list
)

// digests returns the digest of each of the model's files on the hub, by name: the
// sha256 of a large file, git's of a small one; "" where a mirror gives none. It is the
// first request of a download and is not retried, so a missing network, model or token
// shows at once.
func (m Model) digests(ctx context.Context) (map[string]string, error) {
	endpoint := strings.TrimSuffix(cmp.Or(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), "/")
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		endpoint+"/api/models/"+m.ID+"/revision/"+m.Revision+"?blobs=true", nil)
	if err != nil {
		return nil, err
	}
	if token := os.Getenv("HF_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("hub cannot be reached: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return readDigests(response.Body)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return nil, fmt.Errorf("hub has no such model or revision %s for this user (status %d); "+
			"check the name, or set HF_TOKEN", m.Revision, response.StatusCode)
	default:
		return nil, fmt.Errorf("hub answers with status %d; try again later", response.StatusCode)
	}
}

// readDigests reads the digests from the hub's description of a model,
// /api/models/ID/revision/REVISION?blobs=true.
func readDigests(body io.Reader) (map[string]string, error) {
	var info struct {
		Siblings []struct {
			Name   string `json:"rfilename"`
			BlobID string `json:"blobId"` // of the pointer, if the file is a large one
			LFS    struct{ SHA256 string }
		}
	}
	if err := json.NewDecoder(io.LimitReader(body, maxListBytes)).Decode(&info); err != nil {
		return nil, fmt.Errorf("hub's list of files is not whole: %w; try again", err)
	}
	digests := map[string]string{}
	for _, file := range info.Siblings {
		digests[file.Name] = cmp.Or(file.LFS.SHA256, file.BlobID)
	}
	return digests, nil
}

// checkBlob compares a file of the cache with its digest on the hub, if the file came
// after a time: older ones were checked when they came. Where the hub gave no digest, the
// cache's own name for the file is one, unless another store named it. A file that
// differs is removed, so that the next download fetches it again.
//
// The file may be missing: the library reports no error for a body that ends early, and
// leaves a link to nothing.
func checkBlob(ctx context.Context, path, want string, since time.Time) (err error) {
	blob, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("file %s did not arrive whole; try again", filepath.Base(path))
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(blob)
	if err != nil || info.ModTime().Before(since) {
		return err
	}
	want = cmp.Or(want, filepath.Base(blob))
	digest := sha256.New()
	switch len(want) { // in hex
	case sha256.Size * 2:
	case sha1.Size * 2:
		digest = sha1.New()
		fmt.Fprintf(digest, "blob %d\x00", info.Size()) // git hashes this before a file
	default:
		return nil // not a digest
	}
	f, err := os.Open(blob)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(digest, untilReader{ctx, f}); err != nil {
		return err
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want {
		return errors.Join(fmt.Errorf("file %s does not match the hub's digest %s; it has been "+
			"removed, try again", filepath.Base(path), want),
			os.Remove(blob), os.Remove(path))
	}
	return nil
}

// untilReader fails reads once its context has ended: hashing a shard takes seconds.
type untilReader struct {
	ctx context.Context
	io.Reader
}

func (r untilReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
