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
	"strconv"
	"time"
)

// client sends requests to POST /v1/score.
type client struct {
	http    *http.Client
	base    string // URL without a trailing slash
	key     string
	model   string
	labels  []int
	softmax bool
	timeout time.Duration
}

// answer is a server's answer to a request: a row of scores for each item, and nil or the
// count of tokens.
type answer struct {
	Scores [][]number
	Usage  *usage
}

// usage is null from sglang-jax. Cached counts the tokens of all items that were not
// computed.
type usage struct {
	Prompt int `json:"prompt_tokens"`
	Cached int `json:"cached_tokens"`
}

// number is a float64 that does not accept null, which encoding/json would take for 0: a
// server may answer null where there is no score.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(data []byte) error {
	value, err := strconv.ParseFloat(string(data), 64)
	*n = number(value)
	return err
}

// failure is a request without a correct answer. kind is an HTTP status or one of the
// words below.
type failure struct {
	kind string
	err  error
}

// The kinds of failures that have no HTTP status.
const (
	kindWrong      = "wrong answer"
	kindTimeout    = "timeout"
	kindConnection = "connection"
	kindCancelled  = "cancelled" // by this program
)

// body returns the request's JSON. A server that does not know the field usage ignores
// it.
func (c *client) body(p prompt) []byte {
	data, err := json.Marshal(map[string]any{"model": c.model, "query": p.query, "items": p.items,
		"label_token_ids": c.labels,
		"apply_softmax":   c.softmax, "usage": true})
	if err != nil {
		panic(err) // strings, numbers and lists always marshal
	}
	return data
}

// score sends a request with so many items and checks the answer. There is either an
// answer or a failure.
func (c *client) score(ctx context.Context, body []byte, items int) (*answer, *failure) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, data, err := c.send(ctx, http.MethodPost, "/v1/score", body)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &failure{kindTimeout, fmt.Errorf("no answer within %v", c.timeout)}
	case errors.Is(err, context.Canceled):
		return nil, &failure{kindCancelled, err}
	case err != nil:
		return nil, &failure{kindConnection, err}
	case status != http.StatusOK:
		return nil, &failure{strconv.Itoa(status), errors.New(excerpt(data))}
	}
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, &failure{kindWrong, fmt.Errorf("%w in %s", err, excerpt(data))}
	}
	if err := c.check(a.Scores, items); err != nil {
		return nil, &failure{kindWrong, err}
	}
	return &a, nil
}

// check requires one row for each item, one probability for each label and, with
// softmax, rows that sum to 1 within 1e-6: float32 scores are rounded by 6e-8 each.
func (c *client) check(scores [][]number, items int) error {
	if len(scores) != items {
		return fmt.Errorf("answer has %d rows for %d items", len(scores), items)
	}
	for i, row := range scores {
		if len(row) != len(c.labels) {
			return fmt.Errorf("row %d has %d scores for %d labels", i, len(row), len(c.labels))
		}
		sum := 0.0
		for j, score := range row {
			if !(score >= 0 && score <= 1) { // true of NaN, too
				return fmt.Errorf("score %d of row %d is %v, no probability", j, i, score)
			}
			sum += float64(score)
		}
		if c.softmax && math.Abs(sum-1) > 1e-6 {
			return fmt.Errorf("row %d sums to %v with softmax, want 1", i, sum)
		}
	}
	return nil
}

// send makes one HTTP request and reads the whole answer.
func (c *client) send(
	ctx context.Context, method, path string, body []byte,
) (status int, data []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	data, err = io.ReadAll(response.Body)
	return response.StatusCode, data, errors.Join(err, response.Body.Close())
}

// excerpt returns the first 200 bytes.
func excerpt(data []byte) string {
	const most = 200
	if len(data) > most {
		return string(data[:most]) + "…"
	}
	return string(data)
}
