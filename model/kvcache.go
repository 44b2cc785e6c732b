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

// cacheLayout describes a layer's KV cache: pages of plan.PageTokens slots. A slot has
// for each head a key and a value, as every variant of attention makes them. The last
// page is the engine's own.
type cacheLayout struct {
	pages  int // that the host hands out; 0: there is no cache
	width  int // K·2E
	dtype  dtypes.DType
	writer cacheWriter
}

// cacheWriter is a way to write into the cache: windows or scatter. Both leave the same
// bits.
type cacheWriter interface {
	// stored returns the dtype of the cache's array, which holds the bits of numbers of
	// dtype.
	stored(dtype dtypes.DType) dtypes.DType
	// inputs declares the inputs that say which slots the first tokens of a step go to,
	// at most so many.
	inputs(in *parameters, tokens int) []*Node
	// pack makes the arrays of inputs, in the same order, from the slot of each token;
	// spare is the slot of a token that is dropped.
	pack(slots []int32, spare int32) []*tensors.Tensor
	// write returns the cache with tokens of fresh [T, K·2E] in their slots. Tokens
	// beyond those that pack had slots for are dropped.
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

// zeroSlot holds zeros and is never written. A step whose bucket has more context than
// it needs gathers it for the rest. spareSlot takes the tokens that are dropped, for a
// writer that must write every token.
func (c cacheLayout) zeroSlot() int32  { return int32(c.pages * plan.PageTokens) }
func (c cacheLayout) spareSlot() int32 { return c.zeroSlot() + 1 }

// shape returns the shape of a layer's array.
func (c cacheLayout) shape() shapes.Shape {
	return shapes.Make(c.writer.stored(c.dtype), (c.pages+1)*plan.PageTokens, c.width)
}

// cacheInputs are the inputs of a program that has a KV cache.
type cacheInputs struct {
	cache   *Node   // of the layer: see cacheLayout.shape
	context *Node   // [C]: the slots of the context
	writes  []*Node // of the writer
}

// inputs declares cacheInputs, without the cache itself.
func (c cacheLayout) inputs(in *parameters, s shape) (i cacheInputs) {
	i.context = in.next(dtypes.Int32, s.context)
	i.writes = c.writer.inputs(in, s.fresh())
	return i
}

// pack makes the arrays of inputs, in the same order.
func (c cacheLayout) pack(l *layout) []*tensors.Tensor {
	return append([]*tensors.Tensor{vector(l.context)},
		c.writer.pack(l.keep[:min(len(l.keep), len(l.context))], l.spare)...)
}

// update writes a step's keys and values [T, K·2E]. It returns the cache after that, and
// the step's context in it.
func (c cacheLayout) update(in cacheInputs, fresh *Node) (cache *Node, context contextKeys) {
	fresh.AssertDims(fresh.Shape().Dim(0), c.width)
	cache = c.writer.write(in.cache, fresh, in.writes)
	return cache, contextKeys{cache: cache, slots: in.context, dtype: c.dtype}
}

// contextKeys are the keys and values of a step's context, as slots of a cache.
type contextKeys struct {
	cache *Node // see cacheLayout.shape
	slots *Node // [C]
	dtype dtypes.DType
	whole *Node // [C, K·2E]: the context itself, in a check, which has no cache
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

// kvCache is the KV cache on a device. Only the goroutine that calls Engine.Run uses
// layers; c.mu must be held for the other fields.
type kvCache struct {
	layers []*tensors.Tensor // of each layer; nil where it is lost. None without a cache

	mu    sync.Mutex
	fills int  // how often the layers have been made anew; it names the present ones
	lost  bool // a layer's array is gone or broken
}

// ready makes the layers anew if they are lost, by the program blank. It returns which
// fill they are.
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

// lose marks the layers of a fill as lost, because a step on them has failed. It reports
// whether that is news: they are the present ones, and were not marked yet.
func (c *kvCache) lose(fills int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := c.fills == fills && !c.lost
	c.lost = c.lost || news
	return news
}

// fill makes every layer's array anew, one after the other, and frees the earlier ones.
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

// free frees the layers' arrays.
func (c *kvCache) free() error {
	err := finalize(c.layers...)
	clear(c.layers)
	return err
}

// giveBack returns the memory of an array of zeros to the operating system, if the
// device's memory is the process's own. The array stays zeros, and takes memory only
// where it is written: most of a cache for long contexts never is.
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

// releasePages returns the whole pages of the operating system inside a buffer.
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
