package main

import (
	"cmp"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"scored/sglang/launch"
)

// readVariables reads sglang-jax's variables and Vertex AI's, and fills in what follows
// from them. A flag, or SCORED_<FLAG>, wins over them, but for --device and
// JAX_PLATFORMS, which must agree. HF_HOME, HF_TOKEN and HF_ENDPOINT are read by package
// hub; sglang-jax's other variables concern libraries that this server does not use.
func (c *config) readVariables(env lookup) error {
	theirs, err := launch.ReadVariables(env)
	if err != nil {
		return err
	}
	c.ProfileDir = cmp.Or(theirs.ProfilerDir, c.ProfileRoot, "/tmp")
	c.HealthTimeout, c.LongerContexts, c.DisableDocs = theirs.HealthTimeout, theirs.LongerContexts,
		theirs.NoDocs
	c.ignored = append(c.ignored, theirs.Ignored...)
	c.CompileCache = cmp.Or(c.CompileCache, theirs.CompileCache)
	c.Offline = c.Offline || theirs.Offline
	if theirs.ForceShutdown {
		c.DrainTimeout = 0
	}
	if c.Device != "" && theirs.Platform != "" && c.Device != theirs.Platform {
		return fmt.Errorf("flag --device is %s, but JAX_PLATFORMS is %s; they must agree", c.Device,
			theirs.Platform)
	}
	c.Device = cmp.Or(c.Device, theirs.Platform, "cpu")
	return c.readVertex(env)
}

// readVertex reads the variables that Vertex AI gives its containers, which must listen
// on every address. Flags that were given win over port and address:
// https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements#aip-variables.
func (c *config) readVertex(env lookup) (err error) {
	if c.HealthRoute, err = route(env, "AIP_HEALTH_ROUTE"); err != nil {
		return err
	}
	if c.PredictRoute, err = route(env, "AIP_PREDICT_ROUTE"); err != nil {
		return err
	}
	text, _ := env("AIP_HTTP_PORT")
	if text == "" {
		return nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("environment variable AIP_HTTP_PORT is %q; it must be a port from 1 to 65535",
			text)
	}
	given := map[string]bool{}
	c.set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["port"] {
		c.Port = int(port)
	}
	if !given["host"] {
		c.Host = "0.0.0.0"
	}
	return nil
}

// route reads the path of a route from a variable; "" if it is not set. A path with a
// wildcard of http.ServeMux, or one that a client could not send as it is, is refused.
func route(env lookup, name string) (string, error) {
	path, _ := env(name)
	if path != "" && (path[0] != '/' || strings.ContainsAny(path, "{}*?#% ") ||
		strings.HasSuffix(path, "/")) {
		return "", fmt.Errorf("environment variable %s is %q; it must be a plain path such as /predict",
			name, path)
	}
	return path, nil
}
