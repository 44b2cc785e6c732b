package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-playground/validator/v10"
)

// CheckFields holds the named fields of a struct, or all, to their validate tags. The
// error names the flag of the first that is wrong, and what would be right. Fields of an
// embedded struct are named with it: Options.Device.
func CheckFields(of any, fields ...string) error {
	check := validator.New(validator.WithRequiredStructEnabled())
	var err error
	if len(fields) == 0 {
		err = check.Struct(of)
	} else {
		err = check.StructPartial(of, fields...)
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

// flagName turns a field's name into its flag's: MaxQueue is max-queue. Fields with
// initials, and those whose flag has a longer name, are listed.
func flagName(field string) string {
	if name, ok := map[string]string{"APIKey": "api-key", "APIKeyFile": "api-key-file",
		"DType": "dtype", "Watchdog": "watchdog-timeout", "CORSOrigins": "cors-origins",
		"OTLPEndpoint": "otlp-endpoint", "Sampling": "preferred-sampling-params",
		"LogLevelHTTP": "log-level-http", "ChunkedPrefill": "chunked-prefill-size",
		"MaxPrefill": "max-prefill-tokens", "Replicas": "dp-size",
		"Attention": "attention-backend", "MaxTokens": "max-held-tokens",
		"MaxHeld": "max-held-bytes", "MaxBacklog": "max-backlog-seconds"}[field]; ok {
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
