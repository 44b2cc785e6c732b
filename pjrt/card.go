package pjrt

import (
	"embed"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Card is a GPU that programs can be compiled for without it.
type Card struct {
	Device string // the kind of device that a client with the card tells
	config string // the text of XLA's GpuTargetConfigProto
}

//go:embed cards/*.txtpb
var cards embed.FS

const cardPrefix = "cuda:"

// FindCard gives the card of a topology such as "cuda:h100".
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

// Cards lists the topologies of one card that are known.
func Cards() (names []string) {
	files, _ := cards.ReadDir("cards") // it is part of the program
	for _, f := range files {
		names = append(names, cardPrefix+strings.TrimSuffix(f.Name(), path.Ext(f.Name())))
	}
	return names
}
