package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"scored/app"
)

// A server in this process, on the CPU, with generated weights of a small model's
// shape.
func Example() {
	o := app.Defaults()
	o.ModelPath, o.LoadFormat, o.TokenizerPath = "../tests/models/tiny", "dummy", "../tests/tokenizer/small"
	o.Port, o.PluginDir, o.Offline = 0, "../.cache/plugins", true // a free port; the plugin of `make setup`
	o.ContextLength, o.Buckets = 64, "64x4x64x0"
	a, err := app.New(o)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close() // of use where Run is not reached
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()

	fmt.Println(post("http://"+a.Addr().String()+"/v1/score", `{"query": [5, 6], "items": [[7], [8]], "label_token_ids": [1], "apply_softmax": true, "model": "tiny"}`))
	stop()
	fmt.Println(<-ended)
	// Output:
	// [[1.0],[1.0]]
	// <nil>
}

// post asks until the model is loaded, and gives the answer's scores.
func post(url, body string) string {
	for range 1000 {
		response, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			_, scores, _ := strings.Cut(string(text), `"scores":`)
			scores, _, _ = strings.Cut(scores, "]]")
			return scores + "]]"
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "not ready"
}
