package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-playground/validator/v10"

	"scored/score"
)

// UsageError is an error of the Options, not of files, the network or the device.
type UsageError struct{ Err error }

// Error implements error.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e UsageError) Unwrap() error { return e.Err }

// Check refuses values that cannot work, one by one and together, as far as they tell
// without a model. Files that they name are read.
func (o Options) Check() error {
	if err := CheckFields(o); err != nil {
		return err
	}
	if _, err := o.ParseBuckets(); err != nil {
		return err
	}
	if _, err := o.OpenTemplate(); err != nil {
		return err
	}
	return o.CheckTogether()
}

// CheckTogether refuses values that are right by themselves and cannot work. What
// depends on the model is for Start.FindModel.
func (o Options) CheckTogether() error {
	if n := o.ContextLength; n > 0 && score.MaxInput(n) < 2 {
		return fmt.Errorf("flag --context-length is %d, which leaves no room for a prompt; it must be "+
			"at least 8", n)
	}
	for _, folder := range []struct{ name, path string }{
		{"download-dir", o.DownloadDir}, {"plugin-dir", o.PluginDir}, {"compile-cache", o.CompileCache},
	} {
		if info, err := os.Stat(folder.path); folder.path != "" && err == nil && !info.IsDir() {
			return fmt.Errorf("flag --%s is %s, which is a file; it must be a folder", folder.name,
				folder.path)
		}
	}
	if o.CacheSaltByKey && o.APIKey == "" && o.APIKeyFile == "" {
		return errors.New("flag --cache-salt-by-key needs keys to go by; give --api-key-file or " +
			"--api-key")
	}
	if _, err := readPrice(o.Price); err != nil {
		return err
	}
	if o.DummyFallback && o.tokenizerOr(o.DummyTokenizer) == "" {
		return errors.New("flag --dummy-fallback needs a tokenizer that is at hand; name its folder " +
			"with --dummy-tokenizer")
	}
	return nil
}

// CheckFields holds the named fields of a struct, or all, to their validate tags. The
// error names the flag of the first that is wrong, and what would be right.
func CheckFields(of any, fields ...string) error {
	check := validator.New(validator.WithRequiredStructEnabled())
	err := check.StructPartial(of, fields...)
	if len(fields) == 0 {
		err = check.Struct(of)
	}
	var faults validator.ValidationErrors
	if errors.As(err, &faults) {
		return faultOf(faults[0])
	}
	return err
}

// faultOf says which flag is wrong and what would be right.
func faultOf(fault validator.FieldError) error {
	name, want := flagName(fault.Field()), fault.Param()
	switch fault.Tag() {
	case "required":
		return fmt.Errorf("flag --%s is missing; give it a value", name)
	case "oneof":
		want = "one of " + strings.ReplaceAll(want, " ", ", ")
	case "min":
		want = "at least " + want
	case "max":
		want = "at most " + want
	case "json":
		want = "JSON"
	case "http_url":
		want = "an http or https address"
	case "dir":
		want = "a folder that exists"
	}
	return fmt.Errorf("flag --%s is %q; it must be %s", name, fmt.Sprint(fault.Value()), want)
}

// flagName turns a field's name into its flag's: MaxQueue is max-queue.
func flagName(field string) string {
	if name, ok := map[string]string{"APIKey": "api-key", "APIKeyFile": "api-key-file",
		"DType": "dtype", "Watchdog": "watchdog-timeout", "CORSOrigins": "cors-origins",
		"OTLPEndpoint": "otlp-endpoint", "Sampling": "preferred-sampling-params",
		"LogLevelHTTP": "log-level-http", "ChunkedPrefill": "chunked-prefill-size",
		"MaxPrefill": "max-prefill-tokens", "Replicas": "dp-size",
		"Attention": "attention-backend"}[field]; ok {
		return name
	}
	var name strings.Builder
	for i, r := range field {
		if i > 0 && r >= 'A' && r <= 'Z' {
			name.WriteByte('-')
		}
		name.WriteRune(r)
	}
	return strings.ToLower(name.String())
}
