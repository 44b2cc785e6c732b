package server_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"scored/score"
	"scored/score/scoretest"
	"scored/server"
)

// alike is an engine to which all labels are alike.
type alike struct{}

func (alike) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 64, Rows: 8, Length: 64, Cost: 1}}
}

func (alike) Pages() int { return scoretest.ManyPages }

func (alike) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		for range row.Labels {
			answers[i] = append(answers[i], -5)
		}
	}
	return scoretest.Done(answers), nil
}

// A Server is an http.Handler. It answers 503 until Serve gives it a model.
func Example() {
	scorer, err := score.New(score.Config{Vocab: 151669, ContextLength: 64}, nil, alike{})
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()
	handler := server.New(server.Config{ServedModel: "tiny", MaxBody: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	web := httptest.NewServer(handler)
	defer web.Close()
	ask := func() {
		response, err := http.Post(web.URL+"/v1/score", "application/json", strings.NewReader(
			`{"model": "tiny", "query": [1, 2], "items": [[3], [4]], "label_token_ids": [9454, 2753], "apply_softmax": true}`))
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(response.StatusCode, string(body))
	}
	ask()
	handler.Serve(&server.Model{Scorer: scorer, ContextLength: 64, Vocab: 151669, BaseVocab: 151643})
	ask()
	// Output:
	// 503 {"object":"error","message":"model is loading; retry later","type":"ServiceUnavailableError","param":null,"code":503}
	// 200 {"scores":[[0.5,0.5],[0.5,0.5]],"model":"tiny","usage":null,"object":"scoring"}
}
