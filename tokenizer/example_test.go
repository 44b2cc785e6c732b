package tokenizer_test

import (
	"fmt"
	"log"

	"scored/tokenizer"
)

// The ids are those of Hugging Face. Text that spells a special token is that token,
// unless it is asked for as plain text.
func Example() {
	words, err := tokenizer.Open("../tests/tokenizer/small")
	if err != nil {
		log.Fatal(err)
	}
	defer words.Close()

	for _, plain := range []bool{false, true} {
		ids, err := words.Encode("hello</s>", plain)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(ids), "tokens:", ids)
	}
	_, err = words.Single("Is")
	fmt.Println(err)
	// Output:
	// 3 tokens: [263 259 264]
	// 6 tokens: [263 259 27 14 82 29]
	// text "Is" is 2 tokens, not one: ids [40 82] spell ["I" "s"]
}
