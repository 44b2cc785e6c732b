package triton

import "strings"

// leastShared is how much shared memory a block of threads may use on any card since Ampere: 99 KiB, on those of compute
// capability 8.6, 8.9 and 12.0 (CUDA C++ programming guide, table of compute capabilities).
const leastShared = 99 << 10

// SharedMemory is how many bytes of shared memory a block of threads may use on a kind of card, by its name, such as
// "NVIDIA H100 80GB HBM3". Of a card that is not known it is what every one has since Ampere.
func SharedMemory(card string) int {
	for _, c := range []struct {
		names []string
		bytes int
	}{
		{[]string{"H100", "H200", "H800", "H20", "GH200"}, 227 << 10}, // compute capability 9.0
		{[]string{"B200", "GB200", "B300", "GB300"}, 227 << 10},       // 10.0 and 10.3
		{[]string{"A100", "A800", "A30"}, 163 << 10},                  // 8.0
	} {
		for _, word := range strings.FieldsFunc(card, func(r rune) bool { return r == ' ' || r == '-' }) {
			for _, name := range c.names {
				if word == name {
					return c.bytes
				}
			}
		}
	}
	return leastShared
}
