package laws

import (
	"math"
	"testing"

	"scored/model/checkpoint"
)

// plain is a Qwen3 in plain Go and float64: one prompt at a time, from its first token to
// its last. It has no cache, no steps and no prefixes, and shares only the weights with
// the engine.
type plain struct {
	cfg     checkpoint.Config
	numbers map[string][]float64 // by a parameter's name, matrices row by row
}

func newPlain(t *testing.T, cfg checkpoint.Config, weights checkpoint.Source) *plain {
	t.Helper()
	p := &plain{cfg: cfg, numbers: map[string][]float64{}}
	for _, spec := range cfg.Tensors() {
		tensor, err := weights.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		stored := make([]float32, tensor.Size())
		tensor.Float32(stored, 0)
		all := make([]float64, len(stored))
		for i, v := range stored {
			all[i] = float64(v)
		}
		p.numbers[spec.Name] = all
	}
	return p
}

// logprobs returns the log-probabilities of the token after the prompt, for the whole
// vocabulary.
func (p *plain) logprobs(prompt []int64) []float64 {
	width := p.cfg.HiddenSize
	hidden := make([][]float64, len(prompt)) // by position
	for at, id := range prompt {
		hidden[at] = append([]float64{}, p.numbers["model.embed_tokens.weight"][int(id)*width:][:width]...)
	}
	for layer := range p.cfg.Layers {
		p.attend("model.layers."+string(rune('0'+layer))+".", hidden)
		for at := range hidden {
			p.mlp("model.layers."+string(rune('0'+layer))+".", hidden[at])
		}
	}
	numbers := p.times("model.embed_tokens.weight", p.norm("model.norm.weight", hidden[len(hidden)-1])) // the tied head
	top, sum := math.Inf(-1), 0.0
	for _, v := range numbers {
		top = max(top, v)
	}
	for _, v := range numbers {
		sum += math.Exp(v - top)
	}
	for i := range numbers {
		numbers[i] -= top + math.Log(sum)
	}
	return numbers
}

// attend adds the attention output to each position, which attends to the positions up to
// itself.
func (p *plain) attend(layer string, hidden [][]float64) {
	c := p.cfg
	var queries, keys, values [][][]float64 // by position and head
	for at := range hidden {
		x := p.norm(layer+"input_layernorm.weight", hidden[at])
		queries = append(queries, p.heads(layer+"self_attn.q_", x, at))
		keys = append(keys, p.heads(layer+"self_attn.k_", x, at))
		values = append(values, p.heads(layer+"self_attn.v_", x, at))
	}
	for at := range hidden {
		var out []float64
		for head := range c.Heads {
			group := head * c.KVHeads / c.Heads
			weights, sum := make([]float64, at+1), 0.0
			for other := range weights {
				weights[other] = math.Exp(dot(queries[at][head], keys[other][group]) / math.Sqrt(float64(c.HeadDim)))
				sum += weights[other]
			}
			mean := make([]float64, c.HeadDim)
			for other, w := range weights {
				for i, v := range values[other][group] {
					mean[i] += w / sum * v
				}
			}
			out = append(out, mean...)
		}
		add(hidden[at], p.times(layer+"self_attn.o_proj.weight", out))
	}
}

// heads returns a position's queries, keys or values. Queries and keys are normed, and
// rotated by the position.
func (p *plain) heads(name string, x []float64, at int) (heads [][]float64) {
	size := p.cfg.HeadDim
	for all := p.times(name+"proj.weight", x); len(all) > 0; all = all[size:] {
		head := all[:size:size]
		if name[len(name)-2:] != "v_" {
			if p.cfg.QKNorm {
				head = p.norm(name+"norm.weight", head)
			}
			head = p.turn(head, at)
		}
		heads = append(heads, head)
	}
	return heads
}

// turn is RoPE: it rotates the numbers i and i + half of a head by an angle.
func (p *plain) turn(head []float64, at int) []float64 {
	half := len(head) / 2
	turned := make([]float64, len(head))
	for i := range half {
		sin, cos := math.Sincos(float64(at) * math.Pow(p.cfg.RopeTheta, -float64(i)/float64(half)))
		turned[i], turned[i+half] = head[i]*cos-head[i+half]*sin, head[i+half]*cos+head[i]*sin
	}
	return turned
}

// mlp adds the MLP's SwiGLU to a position.
func (p *plain) mlp(layer string, hidden []float64) {
	x := p.norm(layer+"post_attention_layernorm.weight", hidden)
	gate, up := p.times(layer+"mlp.gate_proj.weight", x), p.times(layer+"mlp.up_proj.weight", x)
	for i, g := range gate {
		up[i] *= g / (1 + math.Exp(-g))
	}
	add(hidden, p.times(layer+"mlp.down_proj.weight", up))
}

// norm is RMSNorm.
func (p *plain) norm(name string, x []float64) []float64 {
	scale := 1 / math.Sqrt(dot(x, x)/float64(len(x))+p.cfg.RMSEps)
	out := make([]float64, len(x))
	for i, w := range p.numbers[name] {
		out[i] = x[i] * scale * w
	}
	return out
}

// times is a matrix times a vector.
func (p *plain) times(name string, x []float64) (out []float64) {
	for rows := p.numbers[name]; len(rows) > 0; rows = rows[len(x):] {
		out = append(out, dot(rows[:len(x)], x))
	}
	return out
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func add(to, more []float64) {
	for i, v := range more {
		to[i] += v
	}
}
