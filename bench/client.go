package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
)

// request is a body of /v1/score. Usage is beyond sglang-jax, which ignores it.
type request struct {
	Model   string `json:"model"`
	Query   any    `json:"query"`
	Items   any    `json:"items"`
	Labels  []int  `json:"label_token_ids"`
	Softmax bool   `json:"apply_softmax"`
	Usage   bool   `json:"usage"`
}

func (r request) size() int {
	if items, ok := r.Items.([]string); ok {
		return len(items)
	}
	return len(r.Items.([][]int))
}

// answer is what a server said.
type answer struct {
	Scores [][]float64 `json:"scores"`
	Usage  *struct {
		PromptTokens int `json:"prompt_tokens"`
		CachedTokens int `json:"cached_tokens"`
	} `json:"usage"`
}

// statusError is an answer that is no success.
type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }

// errWrong is a success whose scores cannot be right.
var errWrong = errors.New("answer is wrong")

type client struct {
	http     *http.Client
	url, key string
}

// score sends a request and checks the shape of what comes back.
func (c *client) score(ctx context.Context, r request) (a answer, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	data, err := c.do(ctx, http.MethodPost, "/v1/score", body)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("%w: %w", errWrong, err)
	}
	return a, a.check(r)
}

// check wants a row for each item, a number for each label, and rows that sum to 1.
func (a answer) check(r request) error {
	if len(a.Scores) != r.size() {
		return fmt.Errorf("%w: %d rows for %d items", errWrong, len(a.Scores), r.size())
	}
	for i, row := range a.Scores {
		sum := 0.0
		for _, v := range row {
			sum += v
		}
		if len(row) != len(r.Labels) || !(math.Abs(sum-1) < 1e-6) {
			return fmt.Errorf("%w: row %d is %v", errWrong, i, row)
		}
	}
	return nil
}

func (c *client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{response.StatusCode, string(data[:min(len(data), 300)])}
	}
	return data, nil
}
