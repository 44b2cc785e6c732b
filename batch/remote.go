package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Remote is a Scorer that sends bodies to a server over HTTP. NewRemote makes it.
type Remote struct {
	url, key string
	client   *http.Client
}

// NewRemote returns a Scorer for the server at url, such as http://host:30000. It uses
// at most connections connections. key is the API key, or "". timeout bounds each
// request.
func NewRemote(url, key string, connections int, timeout time.Duration) *Remote {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = connections, connections
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Remote{url: strings.TrimRight(url, "/"), key: key,
		client: &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: noRedirect}}
}

// mostAnswer is more bytes than the answer to the longest line has.
const mostAnswer = 1 << 30

// Score implements Scorer. A key that is refused, and an answer that is too large, will
// be so again: those errors wrap ErrStop. A redirect is an answer: a body is never sent
// to another address than the one that was named.
func (s *Remote) Score(ctx context.Context, r *Request) (*Answer, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, s.url+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStop, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", r.ID)
	if s.key != "" {
		request.Header.Set("Authorization", "Bearer "+s.key)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("answer cannot be read: %w", err)
	}
	if len(body) > mostAnswer {
		return nil, fmt.Errorf("%w: answer to %s is larger than %d bytes", ErrStop, r.ID, mostAnswer)
	}
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
		return nil, fmt.Errorf("%w: server answered status %d; check --api-key", ErrStop,
			response.StatusCode)
	}
	return AnswerOf(response.StatusCode, response.Header, body), nil
}

// CloseIdle closes idle connections.
func (s *Remote) CloseIdle() { s.client.CloseIdleConnections() }

// AnswerOf returns a response as an Answer.
func AnswerOf(status int, header http.Header, body []byte) *Answer {
	a := &Answer{Status: status, Body: body, RequestID: header.Get("X-Request-Id"),
		Param: header.Get("X-Scored-Error-Param"),
		Final: header.Get("X-Should-Retry") == "false"}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 &&
		seconds < 3600 {
		a.RetryAfter = time.Duration(seconds) * time.Second
	}
	return a
}
