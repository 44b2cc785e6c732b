package pjrt

import (
	"embed"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Card is a GPU for which programs can be compiled without it. The texts in the folder
// cards are GpuTargetConfigProtos, xla/stream_executor/device_description.proto.
type Card struct {
	Device string // the kind of the device, as a client on the card names it
	config string // the text of XLA's GpuTargetConfigProto
}

//go:embed cards/*.txtpb
var cards embed.FS

const cardPrefix = "cuda:"

// FindCard returns the card of a topology such as "cuda:h100". The error lists those
// that are known.
func FindCard(topology string) (Card, error) {
	name, isCard := strings.CutPrefix(topology, cardPrefix)
	text, err := cards.ReadFile("cards/" + name + ".txtpb")
	if !isCard || err != nil {
		return Card{}, fmt.Errorf("topology %q is unknown: give one of %s", topology,
			strings.Join(Cards(), ", "))
	}
	device := regexp.MustCompile(`(?m)^device_description_str: "(.*)"$`).FindSubmatch(text)
	if device == nil {
		return Card{}, fmt.Errorf("description of %s names no device", topology)
	}
	return Card{string(device[1]), string(text)}, nil
}

// Cards lists the names that FindCard knows.
func Cards() (names []string) {
	files, _ := cards.ReadDir("cards") // embedded, so it can be read
	for _, f := range files {
		names = append(names, cardPrefix+strings.TrimSuffix(f.Name(), path.Ext(f.Name())))
	}
	return names
}
