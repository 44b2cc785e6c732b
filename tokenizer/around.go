package tokenizer

import "encoding/json"

// processor is a post-processor of a tokenizer.json, which puts tokens around a text's
// own: see github.com/huggingface/tokenizers, processors. Single and Tokens are those of
// TemplateProcessing.
type processor struct {
	Type   string
	Single []struct { // the parts that a text becomes, in order; each has one of the two
		Sequence *struct{ ID string } // the text's own ids
		Special  *struct{ ID string } `json:"SpecialToken"` // a key of Tokens
	}
	Tokens map[string]struct{ IDs []uint32 } `json:"special_tokens"`
}

// around returns how many ids the file's post-processor puts before those of a text.
// alone reports that it changes nothing else; it is false for kinds of processors that
// are not known here.
func (p *pipeline) around() (before int, alone bool) {
	var post struct {
		processor
		Processors []processor // of a Sequence
	}
	if raw := p.fields["post_processor"]; raw == nil {
		return 0, true
	} else if json.Unmarshal(raw, &post) != nil {
		return 0, false
	}
	steps := []processor{post.processor}
	if post.Type == "Sequence" {
		steps = post.Processors
	}
	alone = true
	for _, step := range steps {
		n, only := step.around()
		before, alone = before+n, alone && only
	}
	return before, alone
}

// around is the same for one step of the post-processor.
func (p *processor) around() (before int, alone bool) {
	switch p.Type {
	case "", "ByteLevel": // ByteLevel changes only offsets
		return 0, true
	case "TemplateProcessing":
	default:
		return 0, false
	}
	for i, part := range p.Single {
		if part.Sequence != nil {
			return before, i+1 == len(p.Single)
		}
		if part.Special != nil {
			before += len(p.Tokens[part.Special.ID].IDs)
		}
	}
	return 0, false
}
