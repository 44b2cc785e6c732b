package score

// The types below are Reasons.

// NoLabels is the reason of a request without labels.
type NoLabels struct{}

// NoToken is the reason of a label whose id, in decimal, is beyond the vocabulary.
type NoToken struct{ ID string }

// MixedKinds is the reason of a query and items that are neither all texts nor all token
// ids, or of token ids without items.
type MixedKinds struct{}

// TooLong is the reason of a prompt that does not fit into the context. It has so many
// tokens or, with AtLeast, as many or more.
type TooLong struct {
	Tokens, Context int
	AtLeast         bool
}
