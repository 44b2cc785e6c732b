package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"scored/tests/vectors"

	"scored/profile"
	"scored/score"
	"scored/sglang/python"
)

// validated is a body, and what FastAPI 0.116 with pydantic 2.11 made of it;
// tests/contract/validation.py wrote it.
type validated struct {
	Body   []byte
	Type   *string
	Status int
	Answer string
}

// types is the header as net/http gives it: bytes. The vectors name each byte by the
// character that Latin-1 gives it.
func (v validated) types() []string {
	if v.Type == nil {
		return nil
	}
	var raw []byte
	for _, c := range *v.Type {
		raw = append(raw, byte(c))
	}
	return []string{string(raw)}
}

func (v validated) String() string { return fmt.Sprintf("type %q, body %.300q", v.types(), v.Body) }

func readValidated(t *testing.T, name string) (all []validated) {
	t.Helper()
	for line := range bytes.Lines(vectors.Read(t, "../tests/contract/"+name)) {
		var v validated
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) < 1000 {
		t.Fatalf("%d vectors in %s", len(all), name)
	}
	return all
}

// compare checks the answer to a refused body, byte for byte, and tells whether the body
// was accepted by both.
func (v validated) compare(t *testing.T, err error) bool {
	t.Helper()
	if (err == nil) != (v.Status == 200) {
		t.Errorf("%v\nerror %v\nwant  %d %.600s", v, err, v.Status, v.Answer)
		return false
	}
	if err == nil {
		return true
	}
	var answer *apiError
	if !errors.As(err, &answer) {
		t.Fatalf("%v: error %v has no answer", v, err)
	}
	_, got := envelope(answer)
	if got != v.Answer || answer.status != v.Status {
		t.Errorf("%v\nanswer %d %.900s\nwant   %d %.900s", v, answer.status, got, v.Status, v.Answer)
	}
	return false
}

// decodeScore reads a body as /v1/score does.
func decodeScore(contentType []string, data []byte) (*body, error) {
	object, err := decodeObject(contentType, data)
	if err != nil {
		return nil, err
	}
	return readScore(object)
}

func TestAgainstPydantic(t *testing.T) {
	accepted := 0
	for _, v := range readValidated(t, "validation.jsonl.gz") {
		b, err := decodeScore(v.types(), v.Body)
		if !v.compare(t, err) {
			continue
		}
		accepted++
		want := coerced(t, v.Answer)
		got := map[string]any{"query": plainPart(b.hasQuery, b.query), "items": nil, "label_token_ids": nil, "apply_softmax": b.softmax,
			"item_first": b.itemFirst, "model": string(b.model)}
		if b.hasItems {
			items := []any{}
			for _, item := range b.items {
				items = append(items, plainPart(true, item))
			}
			got["items"] = items
		}
		if b.labels.given {
			ids := []any{}
			for _, label := range b.labels.ids {
				ids = append(ids, label.ID)
			}
			got["label_token_ids"] = ids
		}
		if text, ok := want["items"].(string); ok {
			want["items"] = []any{text} // one text is one item
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v\nis read as %v\nwant       %v", v, got, want)
		}
	}
	if accepted < 500 {
		t.Errorf("only %d bodies are accepted; the vectors test too little", accepted)
	}
}

func TestProfileBodyAgainstPydantic(t *testing.T) {
	for _, v := range readValidated(t, "profile_body.jsonl.gz") {
		opts, err := decodeProfile(v.types(), v.Body)
		if !v.compare(t, err) {
			continue
		}
		if got, want := plainOptions(opts), coerced(t, v.Answer); !sameOptions(got, want) {
			t.Errorf("%v\nis read as %v\nwant       %v", v, got, want)
		}
	}
}

// coerced is an accepted body's fields: strings, bools, lists, and integers saturated to
// int64.
func coerced(t *testing.T, answer string) map[string]any {
	t.Helper()
	value, err := python.Decode([]byte(answer), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return plain(value).(map[string]any)
}

func plain(v python.Value) any {
	switch v := v.(type) {
	case python.Int:
		return v.Int64()
	case python.String:
		return string(v)
	case []python.Value, python.Ints:
		list := []any{}
		elements, _ := python.List(v)
		for _, item := range elements {
			list = append(list, plain(item))
		}
		return list
	case *python.Object:
		fields := map[string]any{}
		for _, key := range v.Keys {
			value, _ := v.Get(key)
			fields[string(key)] = plain(value)
		}
		return fields
	}
	return v
}

func plainPart(has bool, p score.Part) any {
	switch {
	case !has:
		return nil
	case !p.IsTokens:
		return p.Text
	}
	ids := []any{}
	for _, id := range p.Tokens {
		ids = append(ids, id)
	}
	return ids
}

func plainOptions(o profile.Options) map[string]any {
	integer := func(n *int64) any {
		if n == nil {
			return nil
		}
		return *n
	}
	level := func(n *int) any {
		if n == nil {
			return nil
		}
		return int64(*n)
	}
	stages := []any{}
	for _, stage := range o.Stages {
		stages = append(stages, stage)
	}
	return map[string]any{"output_dir": o.OutputDir, "start_step": integer(o.StartStep), "num_steps": integer(o.NumSteps),
		"host_tracer_level": level(o.HostTracerLevel), "python_tracer_level": level(o.PythonTracerLevel), "profile_by_stage": o.ByStage, "profile_stages": stages}
}

// sameOptions takes null for what Options cannot tell from it: "", false and no stages.
func sameOptions(got, want map[string]any) bool {
	for field, otherwise := range map[string]any{"output_dir": "", "profile_by_stage": false, "profile_stages": []any{}} {
		if want[field] == nil {
			want[field] = otherwise
		}
	}
	delete(want, "stage_id")
	return reflect.DeepEqual(got, want)
}
