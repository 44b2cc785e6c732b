package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"scored/target"
)

// Price is the file that `scored calibrate` writes and Options.Price names: what steps
// take, measured on one device with one attention and one dtype of weights.
type Price struct {
	Device    string           `json:"device"` // its kind, as the plugin calls it
	Attention target.Attention `json:"attention"`
	DType     target.DType     `json:"dtype"`
	Price     target.Price     `json:"price"`
}

// isOf reports whether the price is for steps with this attention and dtype. It is false
// for a nil price.
func (p *Price) isOf(attention target.Attention, dtype target.DType) bool {
	return p != nil && p.Attention == attention && p.DType == dtype
}

// warn says in the log why the price is not used for such steps. A nil price is no reason
// to warn. The target's own price serves then: a start never fails for want of a better
// one.
func (p *Price) warn(attention target.Attention, dtype target.DType, log *slog.Logger) {
	if p != nil && !p.isOf(attention, dtype) {
		log.Warn("price file is of other steps and is not used; run scored calibrate with the flags of "+
			"this start", "attention", p.Attention, "dtype", p.DType, "wanted_attention", attention,
			"wanted_dtype", dtype)
	}
}

// readPrice reads a price; nil if no file is named. Whether it is of the device at hand
// is known once a plugin is open.
func readPrice(file string) (*Price, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("flag --price: %w; name a file that scored calibrate wrote", err)
	}
	p := &Price{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("flag --price: file %s is not one that scored calibrate writes: %w", file,
			err)
	}
	if !p.Price.Valid() {
		return nil, fmt.Errorf("flag --price: file %s holds a price that rates no step; run scored "+
			"calibrate again", file)
	}
	return p, nil
}
