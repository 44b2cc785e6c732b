package score

// Encoder turns one whole prompt into token ids. It is safe for concurrent use and returns the same ids every time.
type Encoder interface {
	// Encode tokenizes text. With plainSpecials, special-token text such as "<|im_end|>" is ordinary text.
	Encode(text string, plainSpecials bool) ([]int32, error)
}

// Engine runs steps on one device. The Scorer calls Run from a single goroutine that is locked to its OS thread, so an
// implementation needs no locks; Run cannot be cancelled. Flush may be called between two steps only.
type Engine interface {
	// Buckets lists the step shapes that are compiled, cheapest first. A step must fit one of them.
	Buckets() []Bucket
	// Run executes the step and returns, for each of its rows, the natural-log probability over the whole vocabulary of
	// each of the row's labels.
	Run(step *Step) ([][]float32, error)
	// Flush drops every prefix kept on the device and returns how many there were.
	Flush() int
}

// Bucket is a step shape: every array of the step is padded to it, so that one executable serves many steps.
type Bucket struct {
	Tokens int // packed tokens, prefix and rows together
	Rows   int // rows
	Length int // tokens of one row's own part
	Prefix int // tokens of the shared prefix, kept and new together; 0 if the bucket has none
}

// Step is what a device runs at once: at most one prefix, and rows that hang on it or stand alone.
type Step struct {
	Bucket Bucket
	Prefix *Prefix // nil if no row has one
	// New counts the prefix tokens this step computes: the tokens Prefix.Tokens[Kept:Kept+New]. The ones before Kept are
	// on the device already.
	Kept, New int
	Rows      []*Row
}

// Prefix is a run of tokens that several rows begin with.
type Prefix struct {
	Tokens []int32
	Key    Key
}

// Row is one prompt of one request.
type Row struct {
	Prefix *Prefix // nil: the row stands alone and Tokens is the whole prompt
	Tokens []int32 // what follows the prefix; never empty
	Labels []int32
	Item   int // index of the item in its request
}

// Key identifies a token run by content.
type Key [32]byte
