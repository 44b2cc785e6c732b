package app

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"scored/prompt"
	"scored/score"
)

// UsageError is an error of the Options: a value, a combination, or a file or folder
// that they name. The same Options will not work another time. All else, such as the
// network, the device or what a model's folder holds, gives other errors. `scored` ends
// with status 2 after a UsageError, and with 1 after the others.
type UsageError struct{ Err error }

// Error implements error.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e UsageError) Unwrap() error { return e.Err }

// Checked is Options that can work, as far as that shows without a model, and the
// contents of the files that they name. Check reads each file once, so a file may be a
// pipe, and cannot change between its check and its use.
type Checked struct {
	options  Options
	price    *Price           // of Options.Price; nil: the target's own row
	template *prompt.Template // of Options.Template; nil: texts are scored as they come
	buckets  []score.Bucket   // of Options.Buckets; nil: the target's ladder
}

// Check refuses Options that cannot work, with a UsageError that names the flag. What
// depends on the model is for Start.FindModel, and the files of keys, adapters and
// plugins are for what opens them.
func (o Options) Check() (c *Checked, err error) {
	c = &Checked{options: o}
	if err = CheckFields(o); err == nil {
		err = o.checkTogether()
	}
	if err == nil {
		c.buckets, err = parseBuckets(o.Buckets)
	}
	if err == nil {
		c.template, err = o.openTemplate()
	}
	if err == nil {
		c.price, err = readPrice(o.Price)
	}
	if err != nil {
		return nil, UsageError{Err: err}
	}
	return c, nil
}

// checkTogether refuses values that are right by themselves and cannot work.
func (o Options) checkTogether() error {
	// score.MaxInput is how long a prompt may be; one of a token has no room for a query.
	if n := o.ContextLength; n > 0 && score.MaxInput(n) < 2 {
		return fmt.Errorf("flag --context-length is %d, which leaves no room for a prompt; it must be "+
			"at least 8", n)
	}
	// A folder that is not there yet is made when something is to be kept in it.
	for _, folder := range []struct{ name, path string }{
		{"download-dir", o.DownloadDir}, {"plugin-dir", o.PluginDir}, {"compile-cache", o.CompileCache},
	} {
		if err := CheckFolder(folder.name, folder.path); err != nil {
			return err
		}
	}
	if o.CacheSaltByKey && o.APIKey == "" && o.APIKeyFile == "" {
		return errors.New("flag --cache-salt-by-key needs keys to go by; give --api-key-file or " +
			"--api-key")
	}
	if o.DummyFallback && o.tokenizerOr(o.DummyTokenizer) == "" {
		return errors.New("flag --dummy-fallback needs a tokenizer that is at hand; name its folder " +
			"with --dummy-tokenizer")
	}
	return nil
}

// CheckFolder refuses the path of a flag if something other than a folder is there. ""
// and a folder that is still to be made are good.
func CheckFolder(flag, path string) error {
	if info, err := os.Stat(path); path != "" && err == nil && !info.IsDir() {
		return fmt.Errorf("flag --%s is %s, which is a file; it must be a folder", flag, path)
	}
	return nil
}

// openTemplate reads the template that texts are put into; nil is none.
func (o Options) openTemplate() (*prompt.Template, error) {
	switch {
	case o.Template == "" && o.TemplateSystem == "":
		return nil, nil
	case o.Template == "":
		return nil, errors.New("flag --template-system needs a --template")
	case o.AllowTruncate:
		return nil, errors.New("flags --template and --allow-auto-truncate exclude each other: what is " +
			"cut off would be the template's end")
	}
	return prompt.Open(o.Template, o.TemplateSystem)
}

// Template returns the template that texts are put into; nil is none.
func (c *Checked) Template() *prompt.Template { return c.template }

// WithoutClients returns a copy for a caller in this process: without the bounds of
// clients, bodies and time, and without an access log. They would only refuse what the
// caller itself has chosen to send.
func (c *Checked) WithoutClients() *Checked {
	free := *c
	o := &free.options
	o.MaxHeld, o.BodyTimeout, o.RequestTimeout, o.MaxClientRequests, o.CORSOrigins = 0, 0, 0, 0, ""
	o.Access = slog.New(slog.DiscardHandler)
	return &free
}
