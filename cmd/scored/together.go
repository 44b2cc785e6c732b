package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"scored/pjrt"
	"scored/score"
	"scored/tokenizer"
)

// checkTogether refuses values that are right by themselves and cannot work, as far as the command line tells. What
// depends on the model is for check.
func (c *config) checkTogether() error {
	if n := c.ContextLength; n > 0 && score.MaxInput(n) < 2 {
		return fmt.Errorf("flag --context-length is %d, which leaves no room for a prompt; it must be at least 8", n)
	}
	for _, folder := range []struct{ name, path string }{
		{"download-dir", c.DownloadDir}, {"plugin-dir", c.PluginDir}, {"compile-cache", c.CompileCache},
	} {
		if info, err := os.Stat(folder.path); folder.path != "" && err == nil && !info.IsDir() {
			return fmt.Errorf("flag --%s is %s, which is a file; it must be a folder", folder.name, folder.path)
		}
	}
	if c.CacheSaltByKey && c.APIKey == "" && c.APIKeyFile == "" {
		return errors.New("flag --cache-salt-by-key needs keys to go by; give --api-key-file or --api-key")
	}
	if err := c.readPrice(); err != nil {
		return err
	}
	if c.DummyFallback && c.tokenizerOr(c.DummyTokenizer) == "" {
		return errors.New("flag --dummy-fallback needs a tokenizer that is at hand; name its folder with --dummy-tokenizer")
	}
	return nil
}

// checkFiles finds the tokenizer and the plugin where flags name them, so that one that is not there is known before a model
// is looked for. Nothing is fetched.
func (c *config) checkFiles(ctx context.Context, stderr io.Writer) error {
	for _, path := range []string{c.TokenizerPath, c.DummyTokenizer} {
		if path == "" {
			continue
		}
		if _, err := tokenizer.Find(path); err != nil {
			return usageError{err}
		}
	}
	if c.Plugin == "" {
		return nil
	}
	_, err := c.findPlugin(ctx, stderr)
	return err
}

// checkDevices holds an opened plugin to the flags.
func (c *config) checkDevices(plugin *pjrt.Plugin) error {
	info := plugin.Info()
	if info.Platform != c.Device {
		return usageError{fmt.Errorf("flag --device is %s, but the plugin %s is for %s; leave --plugin out, or set --device", c.Device, info.Path, info.Platform)}
	}
	if n := plugin.Backend().NumDevices(); n < c.Replicas {
		return usageError{fmt.Errorf("flag --dp-size is %d, but the plugin has %d devices", c.Replicas, n)}
	}
	return nil
}
