package batch

import (
	"io"

	"github.com/parquet-go/parquet-go"
)

// column reads the values of one column, page by page.
type column struct {
	name     string
	index    int  // among the schema's leaves
	repeated bool // a row holds a list

	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buffer [64]parquet.Value
	ahead  []parquet.Value // unread values, in buffer
}

// begin goes to a row group.
func (c *column) begin(group parquet.RowGroup) error {
	if err := c.end(); err != nil {
		return err
	}
	c.pages = group.ColumnChunks()[c.index].Pages()
	return nil
}

// end closes the current group.
func (c *column) end() error {
	c.release()
	if c.pages == nil {
		return nil
	}
	pages := c.pages
	c.pages = nil
	return pages.Close()
}

// release frees the current page.
func (c *column) release() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.page, c.values, c.ahead = nil, nil, nil
}

// row reads a row's texts: one, or those of a list. null reports that it has no value, or
// an empty list. A repetition level of 0 begins a new row
// (https://parquet.apache.org/docs/file-format/nestedencoding).
func (c *column) row() (texts []string, null bool, err error) {
	for {
		v, err := c.peek()
		if err == io.EOF && len(texts) > 0 {
			return texts, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if len(texts) > 0 && v.RepetitionLevel() == 0 {
			return texts, false, nil // v belongs to the next row
		}
		c.ahead = c.ahead[1:]
		if v.IsNull() {
			return nil, true, nil
		}
		text := v.String() // of an integer
		if kind := v.Kind(); kind == parquet.ByteArray || kind == parquet.FixedLenByteArray {
			text = string(v.ByteArray())
		}
		if texts = append(texts, text); !c.repeated {
			return texts, false, nil
		}
	}
}

// peek returns the next value of the group without taking it, or io.EOF.
func (c *column) peek() (parquet.Value, error) {
	for len(c.ahead) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buffer[:])
		c.ahead = c.buffer[:n]
		if err != nil && err != io.EOF {
			return parquet.Value{}, err
		}
		if n == 0 {
			c.release()
		}
	}
	return c.ahead[0], nil
}
