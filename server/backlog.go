package server

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// backlog exports, by device, the predicted time of the work in hand, in seconds. It
// implements prometheus.Collector, because a GaugeFunc cannot have a label whose values
// come with the model.
type backlog struct {
	desc    *prometheus.Desc
	devices atomic.Int64              // how many have a series, even before there is a model
	model   atomic.Pointer[modelSlot] // nil until Metrics.watch
}

// newBacklog returns a collector for no devices. Metrics.Devices and Metrics.watch
// complete it.
func newBacklog() *backlog {
	return &backlog{desc: prometheus.NewDesc("scored_backlog_seconds",
		"What the rows that wait and run are predicted to take of the device's time.",
		[]string{"device"}, nil)}
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(all chan<- *prometheus.Desc) { all <- b.desc }

// Collect implements prometheus.Collector. Devices without a model have 0 seconds.
func (b *backlog) Collect(all chan<- prometheus.Metric) {
	now := make([]time.Duration, b.devices.Load())
	if of := b.model.Load(); of != nil {
		if model := of.Load(); model != nil {
			now = model.Scorer.Load().Backlog
		}
	}
	for device, left := range now {
		all <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, left.Seconds(),
			strconv.Itoa(device))
	}
}
