package trace

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"scored/score"
)

// TestRequestsEnd tells spans as "id:stage", an error as a trailing "!", one second
// apart, and lists what is over after each.
func TestRequestsEnd(t *testing.T) {
	tests := []struct {
		name       string
		spans      []string
		over, left []string // requests as "id:stage,stage"
	}{
		{"reply", []string{"a:read", "a:encode", "a:wait", "a:run", "a:reply"}, []string{"a:read,encode,wait,run,reply"}, nil},
		{"two at once", []string{"a:read", "b:read", "b:reply", "a:reply"}, []string{"b:read,reply", "a:read,reply"}, nil},
		{"body not read", []string{"a:read!", "a:reply!"}, []string{"a:read!,reply!"}, nil},
		{"body not understood", []string{"a:read", "a:reply!"}, []string{"a:read,reply!"}, nil},
		{"failed step", []string{"a:encode", "a:wait!", "a:run!", "a:reply!"}, []string{"a:encode,wait!,run!,reply!"}, nil},
		{"client gone", []string{"a:encode", "a:wait!", "a:reply!"}, []string{"a:encode,wait!,reply!"}, nil},
		{"id used again", []string{"a:read", "a:read", "a:reply"}, []string{"a:read", "a:read,reply"}, nil},
		{"more than are kept", []string{"a:read", "b:read", "a:encode", "c:read", "d:read"}, []string{"b:read"}, []string{"a:read,encode", "c:read", "d:read"}},
		{"silent too long", []string{"a:read", "b:read", "b:encode", "b:wait", "b:run"}, []string{"a:read"}, []string{"b:read,encode,wait,run"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRequests(3, 4*time.Second)
			now := time.Unix(0, 0)
			var over []string
			for _, text := range test.spans {
				for _, request := range r.add(parse(text), now) {
					over = append(over, format(request))
				}
				now = now.Add(time.Second)
			}
			if !slices.Equal(over, test.over) {
				t.Errorf("over: %q; want %q", over, test.over)
			}
			var left []string
			for _, request := range r.drain() {
				left = append(left, format(request))
			}
			if !slices.Equal(left, test.left) {
				t.Errorf("left: %q; want %q", left, test.left)
			}
			if len(r.byID) != 0 || r.order.Len() != 0 {
				t.Errorf("%d requests are kept after the end", len(r.byID))
			}
		})
	}
}

func parse(text string) score.Span {
	id, stage, _ := strings.Cut(text, ":")
	stage, failed := strings.CutSuffix(stage, "!")
	span := score.Span{RequestID: id, Stage: score.Stage(stage)}
	if failed {
		span.Err = errors.New("some failure")
	}
	return span
}

func format(request []score.Span) string {
	stages := make([]string, len(request))
	for i, span := range request {
		stages[i] = string(span.Stage)
		if span.Err != nil {
			stages[i] += "!"
		}
	}
	return request[0].RequestID + ":" + strings.Join(stages, ",")
}
