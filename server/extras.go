package server

import (
	"scored/score"
	"scored/sglang"
)

// extras are the fields of a score request that sglang-jax does not have, besides those
// of labels. Without them the answer is sglang-jax's, byte for byte.
type extras struct {
	positions     []int64       // places of each item at which labels are scored, too
	beyond        *score.Beyond // of positions
	logprobs      bool          // answer with natural logarithms, too
	usage         bool          // answer with token counts
	truncate      bool          // cut prompts that are too long, and list them
	partial       bool          // a bad item fails alone
	plainSpecials bool          // the text of a special token, as "<|im_end|>", is plain text
}

// read reads them by the same rules as sglang-jax's fields. Null is as absent, because
// many typed clients send null for a field that they leave out.
func (x *extras) read(f *sglang.Fields) {
	for _, field := range []struct {
		name string
		to   *bool
	}{{"return_logprobs", &x.logprobs}, {"usage", &x.usage}, {"truncate", &x.truncate},
		{"partial", &x.partial},
		{"split_special_tokens", &x.plainSpecials}} {
		*field.to = f.Bool(field.name, false)
	}
	positions, _ := f.Ints("score_positions")
	x.positions, x.beyond = positions.Small, beyond(positions)
}
