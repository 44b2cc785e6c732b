package model

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sys/unix"

	"scored/score/plan"
)

// cacheName begins the names of a program's first parameters if those are KV caches of
// layers. The program's first outputs are the same caches with the step's new tokens.
// The parameters are donated, and a Splicer tells the compiler that the outputs take
// their memory: keepCaches finds them by this name.
const cacheName = "cache"

func cacheNameOf(layer int) string {
	if layer == 0 {
		return cacheName
	}
	return fmt.Sprint(cacheName, layer)
}

// cacheLayout is what a layer's KV cache is: pages of plan.PageTokens slots, of each
// head the keys and then the values, as every attention makes them. The last page is
// the engine's own.
type cacheLayout struct {
	pages  int // that the host gives out; 0: there is no cache
	width  int // K·2E
	dtype  dtypes.DType
	writer cacheWriter
}

// cacheWriter is a way to write into the cache: by windows or by scattering. Both leave
// the same bits.
type cacheWriter interface {
	// stored is the dtype in which numbers of dtype lie in the cache, in the same bits.
	stored(dtype dtypes.DType) dtypes.DType
	// inputs takes what it wants to know of where tokens go, at most so many, and pack
	// makes the arrays for it, in the same order, of the slot of each; spare if it is
	// not kept.
	inputs(in *parameters, tokens int) []*Node
	pack(slots []int32, spare int32) []*tensors.Tensor
	// write puts the first of tokens [T, K·2E] into the cache: those that pack got a
	// slot for.
	write(cache, fresh *Node, inputs []*Node) *Node
}

// newCacheLayout returns a layout with as many pages as bytes allow for all layers, but
// enough for the largest context; without a bucket that has a context there is no cache.
func newCacheLayout(d decoder, bytes int64, buckets []plan.Bucket, writer cacheWriter) cacheLayout {
	c := cacheLayout{width: d.KeysValues(), dtype: d.products, writer: writer}
	if longest := longestContext(buckets); longest > 0 {
		page := tokenBytes(d.Config, c.dtype.Size()) * plan.PageTokens
		c.pages = max(int(bytes/int64(page)), plan.PagesFor(longest))
	}
	return c
}

// zeroSlot holds zeros and is never written: what a step leaves free of its context
// lies there. Tokens that are not to be kept go to spareSlot, where a writer must write
// them.
func (c cacheLayout) zeroSlot() int32  { return int32(c.pages * plan.PageTokens) }
func (c cacheLayout) spareSlot() int32 { return c.zeroSlot() + 1 }

// shape is a layer's array, in the dtype in which it lies there.
func (c cacheLayout) shape() shapes.Shape {
	return shapes.Make(c.writer.stored(c.dtype), (c.pages+1)*plan.PageTokens, c.width)
}

// places is where a program finds what it needs of the cache.
type places struct {
	cache   *Node   // of the layer: see shape
	context *Node   // [C]: the slots of the context
	writes  []*Node // of the writer
}

// inputs takes places but for the cache itself; pack makes the arrays.
func (c cacheLayout) inputs(in *parameters, s shape) (p places) {
	p.context = in.next(dtypes.Int32, s.context)
	p.writes = c.writer.inputs(in, s.fresh())
	return p
}

func (c cacheLayout) pack(l *layout) []*tensors.Tensor {
	return append([]*tensors.Tensor{vector(l.context)},
		c.writer.pack(l.keep[:min(len(l.keep), len(l.context))], l.spare)...)
}

// update writes a step's keys and values [T, K·2E] and gives the cache after it, and
// the step's context.
func (c cacheLayout) update(p places, fresh *Node) (cache *Node, of contextKeys) {
	fresh.AssertDims(fresh.Shape().Dim(0), c.width)
	cache = c.writer.write(p.cache, fresh, p.writes)
	return cache, contextKeys{cache: cache, slots: p.context, dtype: c.dtype}
}

// contextKeys is where in a cache the keys and values of a step's context lie.
type contextKeys struct {
	cache *Node // see cacheLayout.shape
	slots *Node // [C]
	dtype dtypes.DType
	whole *Node // [C, K·2E] instead of both: where there is no cache
}

// all gathers the whole context, [C, K·2E].
func (c contextKeys) all() *Node {
	if c.whole != nil {
		return c.whole
	}
	all := Gather(c.cache, ExpandDims(c.slots, -1))
	if all.DType() != c.dtype {
		all = Bitcast(all, c.dtype)
	}
	return all
}

// kvCache is the KV cache on a device. Run's goroutine owns it, but for mu's fields.
type kvCache struct {
	layers []*tensors.Tensor // nil where it is lost; none without a cache

	mu    sync.Mutex
	fills int  // how often the layers have been made anew
	lost  bool // one is gone or broken
}

// ready makes the layers anew by a program if they are lost, and tells how often that
// was.
func (c *kvCache) ready(blank *program) (fills int, err error) {
	c.mu.Lock()
	lost := c.lost
	if lost {
		c.fills, c.lost = c.fills+1, false
	}
	fills = c.fills
	c.mu.Unlock()
	if !lost {
		return fills, nil
	}
	if err := c.fill(blank); err != nil {
		c.lose(fills)
		return fills, fmt.Errorf("kv cache is not made: %w", err)
	}
	return fills, nil
}

// lose is called when a step on the layers of a fill has failed. It tells whether that
// is news: they are still the cache's, and nobody knew that they are lost.
func (c *kvCache) lose(fills int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := c.fills == fills && !c.lost
	c.lost = c.lost || news
	return news
}

// fill makes every layer's array anew, one after the other.
func (c *kvCache) fill(blank *program) error {
	if err := c.free(); err != nil {
		return err
	}
	for i := range c.layers {
		made, err := blank.run()
		if err != nil {
			return err
		}
		c.layers[i] = made[0]
		if err := blank.giveBack(made[0]); err != nil {
			return err
		}
	}
	return nil
}

func (c *kvCache) free() error {
	err := finalize(c.layers...)
	clear(c.layers)
	return err
}

// giveBack gives the memory of an array of zeros back to the kernel, where the device's
// memory is the process's own: it stays zeros, and takes room only where it is written.
// A cache for long contexts is mostly never used.
func (p *program) giveBack(zeros *tensors.Tensor) error {
	if !p.graph.Backend().HasSharedBuffers() {
		return nil
	}
	buffer, err := zeros.Buffer(p.graph.Backend(), p.device)
	if err != nil {
		return err
	}
	return releasePages(buffer)
}

// releasePages gives back the whole pages of the system's inside a buffer.
func releasePages(zeros compute.Buffer) error {
	flat, err := zeros.Data()
	if err != nil {
		return err
	}
	bytes, page := dtypes.UnsafeByteSliceFromAny(flat), os.Getpagesize()
	if len(bytes) < 2*page {
		return nil
	}
	before := -int(uintptr(unsafe.Pointer(&bytes[0]))) & (page - 1)
	return unix.Madvise(bytes[before:before+(len(bytes)-before)/page*page], unix.MADV_DONTNEED)
}
