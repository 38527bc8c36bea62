package heapdump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrCorrupt says that a file is no heap dump, or one that is cut or does not parse.
var ErrCorrupt = errors.New("not a whole heap dump")

const readSize = 1 << 20

// reader reads big-endian values. The first error stays; from then on all is zero.
type reader struct {
	in     io.Reader
	buf    []byte
	r, w   int   // buf[r:w] has not been consumed
	at     int64 // position in the file of buf[r]
	end    int64 // of the record being read; nothing is read past it
	idSize int   // 4 or 8
	err    error
}

func newReader(in io.Reader, size int64) *reader {
	return &reader{in: in, buf: make([]byte, min(size, readSize)), end: size}
}

func (r *reader) corrupt(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrCorrupt, r.at, fmt.Sprintf(format, args...))
	}
}

// left is how much of the record remains.
func (r *reader) left() int64 { return r.end - r.at }

// bytes consumes n bytes and returns them; they are valid until the next call. It is nil after an error.
func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if int64(n) > r.left() || n > len(r.buf) {
		r.corrupt("%d bytes are needed where %d are left", n, r.left())
		return nil
	}
	for r.w-r.r < n {
		if len(r.buf)-r.r < n {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		if r.w == len(r.buf) {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		m, err := r.in.Read(r.buf[r.w:])
		r.w += m
		if err != nil && r.w-r.r < n {
			if errors.Is(err, io.EOF) {
				r.corrupt("the file ends")
			} else {
				r.err = fmt.Errorf("read the heap dump: %w", err)
			}
			return nil
		}
	}
	b := r.buf[r.r : r.r+n]
	r.r += n
	r.at += int64(n)
	return b
}

// skip consumes n bytes, with a seek where the source can.
func (r *reader) skip(n int64) {
	if r.err != nil {
		return
	}
	if n < 0 || n > r.left() {
		r.corrupt("%d bytes are to be skipped where %d are left", n, r.left())
		return
	}
	have := min(n, int64(r.w-r.r))
	r.r += int(have)
	r.at += have
	n -= have
	if s, ok := r.in.(io.Seeker); ok && n > readSize {
		if _, err := s.Seek(n, io.SeekCurrent); err != nil {
			r.err = fmt.Errorf("read the heap dump: %w", err)
			return
		}
		r.at += n
		return
	}
	for n > 0 && r.err == nil {
		part := min(n, readSize)
		r.bytes(int(part))
		n -= part
	}
}

func (r *reader) u1() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u2() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u4() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) id() uint64 {
	if b := r.bytes(r.idSize); b != nil {
		return idOf(b)
	}
	return 0
}

// idOf reads an id of 4 or 8 bytes.
func idOf(b []byte) uint64 {
	if len(b) == 4 {
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// header reads "JAVA PROFILE 1.0.2", a zero byte, the size of ids and the time.
func (r *reader) header() {
	magic := string(r.bytes(19))
	if r.err != nil || magic != "JAVA PROFILE 1.0.2\x00" && magic != "JAVA PROFILE 1.0.1\x00" {
		r.err = fmt.Errorf("%w: it does not begin with JAVA PROFILE 1.0.1 or 1.0.2", ErrCorrupt)
		return
	}
	r.idSize = int(r.u4())
	if r.idSize != 4 && r.idSize != 8 {
		r.corrupt("ids of %d bytes", r.idSize)
	}
	r.skip(8)
}
