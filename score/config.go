package score

import (
	"runtime"
	"time"
)

// Config configures a Scorer. A zero value means the default named here.
type Config struct {
	Vocab         int     // prompts and labels may use ids 0..Vocab-1; required
	ContextLength int     // a row must have fewer tokens than this; required
	Classes       Classes // the model's, if it is a classifier
	AllowTruncate bool    // --allow-auto-truncate: cut every row that is too long, for every request
	MaxQueue      int     // rows admitted at once, as countRows counts them; 0 means 65536
	MaxTokens     int     // prompt tokens held at once, even while tokenizing; 0 means 16 Mi
	MaxLabels     int     // distinct labels of a request; 0 means 1,024
	MaxScores     int     // numbers in an answer, as Request.Numbers counts them; 0 means 2 Mi
	EncodeBytes   int     // bytes of text that are in tokenizers at once; 0 means 2 MiB
	Encoders      int     // prompts tokenized in parallel; 0 means GOMAXPROCS
	// MaxBacklog is the longest predicted time to an answer: a request that would take
	// longer is refused. 0 means no bound.
	MaxBacklog time.Duration
	// KeepPages is how many pages of the KV cache may be in use before unused prefixes
	// are dropped for new ones. 0 means all.
	KeepPages int
	Watchdog  time.Duration // a step that runs longer makes Ready and Alive fail; 0 means 5 minutes
	Observer  Observer      // nil means none
}

// withDefaults replaces zero values by the defaults.
func (c Config) withDefaults() Config {
	orElse := func(value *int, otherwise int) {
		if *value == 0 {
			*value = otherwise
		}
	}
	orElse(&c.MaxQueue, 1<<16)
	orElse(&c.MaxTokens, 1<<24)
	orElse(&c.MaxLabels, 1<<10)
	orElse(&c.MaxScores, 1<<21)
	orElse(&c.EncodeBytes, 2<<20)
	orElse(&c.Encoders, runtime.GOMAXPROCS(0))
	if c.Watchdog == 0 {
		c.Watchdog = 5 * time.Minute
	}
	return c
}

// observe reports a span to the Observer, if there is one.
func (c *Config) observe(span Span) {
	if c.Observer != nil {
		c.Observer.Observe(span)
	}
}
