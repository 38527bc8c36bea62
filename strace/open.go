package strace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory of zstd: what its --long needs, and no more.
const maxWindow = 128 << 20

// Open opens a file, unpacks it if it is gzip or zstd, and recognises what it
// holds. It is read as a stream: a small file that unpacks to a huge one costs
// time, no memory. The caller closes it. An error says what to do.
func Open(path string) (io.ReadCloser, FileKind, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Unknown, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, Unknown, fmt.Errorf("open %s: is a directory: give its files, for instance %s/*", path, path)
	}
	rc, err := unpack(f)
	if err != nil {
		f.Close()
		return nil, Unknown, fmt.Errorf("open %s: %w", path, err)
	}
	br := bufio.NewReaderSize(rc, headSize)
	head, err := br.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		rc.Close()
		return nil, Unknown, fmt.Errorf("read %s: %w", path, err)
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		rc.Close()
		return nil, Unknown, fmt.Errorf("open %s: is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8`", path)
	}
	return &file{br, rc}, Detect(head), nil
}

type file struct {
	io.Reader
	io.Closer
}

// unpack wraps f, which the result's Close closes too.
func unpack(f io.ReadCloser) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(f, 4<<10)
	magic, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w: the file is damaged or cut", err)
		}
		return &unpacked{"gzip", z, f}, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.HasPrefix(magic[1:], []byte{0x2a, 0x4d, 0x18}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("unpack zstd: %w: the file is damaged or cut", err)
		}
		return &unpacked{"zstd", z, closers{z, f}}, nil
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ")):
		return nil, errors.New("is packed with xz: unpack it with `xz -dk`")
	case bytes.HasPrefix(magic, []byte("BZh")):
		return nil, errors.New("is packed with bzip2: unpack it with `bzip2 -dk`")
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")):
		return nil, errors.New("is a zip archive: unpack it with `unzip`")
	}
	return &file{br, f}, nil
}

// unpacked says which packing an error comes from.
type unpacked struct {
	name string
	io.Reader
	io.Closer
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("unpack %s: %w: the file is damaged or cut", u.name, err)
	}
	return n, err
}

// closers closes a decoder, then its file.
type closers struct {
	decoder *zstd.Decoder
	file    io.Closer
}

func (c closers) Close() error {
	c.decoder.Close()
	return c.file.Close()
}
