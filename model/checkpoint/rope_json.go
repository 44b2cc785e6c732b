package checkpoint

import (
	"errors"
	"fmt"
	"math"
)

// rope is a field of config.json about rotary positions. A nil pointer is a field that
// is absent or null.
type rope struct {
	Theta         *float64 `json:"rope_theta"`
	Type          *string  `json:"rope_type"`
	OldType       *string  `json:"type"` // rope_type's name in earlier versions
	PartialRotary *float64 `json:"partial_rotary_factor"`

	// Of type "llama3": see RopeScaling.
	Factor     *float64 `json:"factor"`
	LowFactor  *float64 `json:"low_freq_factor"`
	HighFactor *float64 `json:"high_freq_factor"`
	Original   *int     `json:"original_max_position_embeddings"`
}

// rotary returns the base of the rotary angles and their scaling. transformers 4 writes
// them as rope_theta and rope_scaling, transformers 5 both in rope_parameters; a file
// may have all three, which must agree. Kinds of scaling other than "llama3" are refused
// by name.
func (f *configFile) rotary(kind family) (theta float64, scaling RopeScaling, err error) {
	base, scaled := f.RopeTheta, (*RopeScaling)(nil)
	for _, part := range []struct {
		name string
		*rope
	}{{"rope_scaling", f.RopeScaling}, {"rope_parameters", f.RopeParameters}} {
		if part.rope == nil {
			continue
		}
		found, err := part.scaling()
		if err != nil {
			return 0, RopeScaling{}, fmt.Errorf("field %s%w", part.name, err)
		}
		if scaled != nil && *scaled != found {
			return 0, RopeScaling{}, errors.New("fields rope_scaling and rope_parameters " +
				"disagree; remove one of them")
		}
		scaled, scaling = &found, found
		if part.Theta == nil {
			continue
		}
		if base != nil && *base != *part.Theta {
			return 0, RopeScaling{}, fmt.Errorf("fields rope_theta (%v) and %s.rope_theta (%v) "+
				"disagree", *base, part.name, *part.Theta)
		}
		base = part.Theta
	}
	// config.json comes first; the family's base stands in where it has none.
	if base == nil && kind.ropeTheta != 0 {
		base = &kind.ropeTheta
	}
	if base == nil || !(*base > 1 && *base <= math.MaxFloat32) {
		return 0, RopeScaling{}, fmt.Errorf("field rope_theta is %s; it must be a number above 1",
			shown(base))
	}
	return *base, scaling, nil
}

// scaling reads one of the fields; the zero value means unscaled. An error's text
// continues the field's name.
func (r *rope) scaling() (s RopeScaling, err error) {
	llama3 := false
	for _, kind := range []*string{r.Type, r.OldType} {
		if kind != nil && *kind != "default" && *kind != "llama3" {
			return s, fmt.Errorf(" is of type %q; only unscaled rotary positions (\"default\") "+
				"and \"llama3\" are supported: "+
				"remove the field to run within the length the model was trained for", *kind)
		}
		llama3 = llama3 || kind != nil && *kind == "llama3"
	}
	if p := r.PartialRotary; p != nil && *p != 1 {
		return s, fmt.Errorf(".partial_rotary_factor is %v; only 1 is supported", *p)
	}
	if !llama3 {
		return s, nil
	}
	for _, field := range []struct {
		name  string
		value *float64
		to    *float64
	}{{"factor", r.Factor, &s.Factor}, {"low_freq_factor", r.LowFactor, &s.LowFactor},
		{"high_freq_factor", r.HighFactor, &s.HighFactor}} {
		if field.value == nil || !(*field.value > 0 && *field.value <= math.MaxFloat32) {
			return s, fmt.Errorf(".%s is %s; type \"llama3\" needs a number above 0", field.name,
				shown(field.value))
		}
		*field.to = *field.value
	}
	if s.HighFactor <= s.LowFactor {
		return s, fmt.Errorf(".high_freq_factor is %v; it must be above low_freq_factor (%v)",
			s.HighFactor, s.LowFactor)
	}
	if r.Original == nil || *r.Original < 1 {
		return s, fmt.Errorf(".original_max_position_embeddings is %s; type \"llama3\" needs a "+
			"length of 1 or more", shown(r.Original))
	}
	s.OriginalPositions = *r.Original
	return s, nil
}
