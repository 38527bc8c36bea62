package report

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/klauspost/compress/zstd"

	"vmaleak/leak"
)

// JSON writes the export: the document of version 1, one row a line, with a
// newline at its end.
func JSON(w io.Writer, s *leak.Snapshot) error {
	j := newWriter(w)
	j.value(reflect.ValueOf(s), "")
	j.WriteByte('\n')
	if j.err != nil {
		return fmt.Errorf("write export: %w", j.err)
	}
	if err := j.Flush(); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

// What ReadJSON refuses.
var (
	ErrNotExport = errors.New("not an export of vmaleak")
	ErrVersion   = errors.New("export of another version")
	ErrTooLarge  = errors.New("export is too large")
)

// MaxExport is the most bytes of JSON that ReadJSON takes from one export.
const MaxExport = 4 << 30

// ReadJSON reads an export of version 1, also one compressed by gzip or zstd,
// and checks its rules. Fields that it does not know are skipped.
func ReadJSON(r io.Reader) (*leak.Snapshot, error) { return readJSON(r, MaxExport) }

func readJSON(r io.Reader, most int64) (*leak.Snapshot, error) {
	plain, closer, err := uncompressed(r)
	if err != nil {
		return nil, fmt.Errorf("read export: %w", err)
	}
	defer closer()
	bounded := &io.LimitedReader{R: plain, N: most}
	s := new(leak.Snapshot)
	dec := newReader(bounded)
	err = dec.object(reflect.ValueOf(s).Elem())
	switch {
	case bounded.N <= 0:
		return nil, fmt.Errorf("read export: more than %d bytes of JSON: %w", most, ErrTooLarge)
	case errors.Is(err, ErrVersion):
		return nil, fmt.Errorf("read export: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, fmt.Errorf("read export: the file ends in the middle of the document, at byte %d: %w", dec.InputOffset(), ErrNotExport)
	case err != nil:
		return nil, fmt.Errorf("read export: %w near byte %d: %w", ErrNotExport, dec.InputOffset(), err)
	}
	if err := version(s.Schema); err != nil {
		return nil, fmt.Errorf("read export: %w", err)
	}
	complement(s)
	if err := s.CheckValid(); err != nil {
		return nil, fmt.Errorf("read export: its sums do not fit, the file was changed or written by a faulty program: %w", err)
	}
	return s, nil
}

// complement makes empty what older programs of version 1 did not write.
func complement(s *leak.Snapshot) {
	s.Events.Stacks.Add(&leak.StackCounts{})
	for _, e := range s.Processes {
		e.Events.Stacks.Add(&leak.StackCounts{})
		if e.Limits == nil {
			e.Limits = []leak.Limit{}
		}
		if e.CGroup != nil && e.CGroup.Processes == nil {
			e.CGroup.Processes = []leak.CGroupProcess{}
		}
		if e.Categories == nil {
			e.Categories = []leak.CategoryUse{}
		}
		for i := range e.Threads {
			if t := &e.Threads[i]; t.Carried == nil {
				t.Carried = []leak.Carried{}
			}
		}
		for i := range e.Pools {
			if p := &e.Pools[i]; p.Stacks == nil {
				p.Stacks = []leak.PoolStack{}
			}
		}
	}
}

// version returns an error unless schema is the one that this program reads.
func version(schema string) error {
	switch {
	case schema == leak.Schema:
		return nil
	case strings.HasPrefix(schema, "vmaleak/"):
		return fmt.Errorf("the document is %.40q, this program reads %q (use the program that wrote it, or a newer one): %w", schema, leak.Schema, ErrVersion)
	}
	return fmt.Errorf("its schema is %.40q, not %q: %w", schema, leak.Schema, ErrNotExport)
}

// uncompressed is r behind the decompressor that its first bytes ask for.
func uncompressed(r io.Reader) (plain io.Reader, closer func(), err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, err := b.Peek(4)
	if err != nil && len(head) == 0 {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the file is empty: %w", ErrNotExport)
		}
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, func() { _ = z.Close() }, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}
