package unwind

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"go.opentelemetry.io/ebpf-profiler/libpf/pfelf"
	"go.opentelemetry.io/ebpf-profiler/nativeunwind/elfunwindinfo"
	"go.opentelemetry.io/ebpf-profiler/nativeunwind/stackdeltatypes"
)

// Bounds of the unwind tables of one file.
const (
	maxFrameBytes = 32 << 20
	maxRows       = 4 << 20
)

// rule says how the caller's registers are found, by the extraction's encoding.
type rule = stackdeltatypes.UnwindInfo

// rows is the unwind table of one file: from each start on, a rule. What no
// table covers has the rule that nothing is known. A large library has 200,000
// rows and a few hundred rules.
type rows struct {
	base   uint64   // the first start
	starts []uint32 // from base
	index  []uint16
	rules  []rule
}

// noAux refuses to open further files for the extraction.
type noAux struct{}

func (noAux) OpenELF(string) (*pfelf.File, error) { return nil, errors.New("not needed") }

// readRows extracts .eh_frame. A file without it has no rows.
func readRows(im *image) (_ *rows, err error) {
	defer guard(&err, "read unwind tables")
	if im.machine != elf.EM_X86_64 && im.machine != elf.EM_AARCH64 {
		return nil, fmt.Errorf("read unwind tables: of machine %v", im.machine)
	}
	tables, ok := im.frameTables()
	if !ok {
		return &rows{}, nil
	}
	if tables.Size > maxFrameBytes {
		return nil, fmt.Errorf("read unwind tables: %d bytes are too many", tables.Size)
	}
	in := newView(im, tables)
	ref := pfelf.NewReferenceWithOpenFunc("", noAux{}, func() (*pfelf.File, error) {
		return pfelf.NewFile(in, 0, false)
	})
	defer ref.Close()
	data, err := elfunwindinfo.ExtractELF(ref)
	if err != nil {
		return nil, fmt.Errorf("read unwind tables: %w", err)
	}
	return packRows(data)
}

// frameTables finds .eh_frame, by its section or by the program header that
// the C library itself goes by.
func (im *image) frameTables() (elf.SectionHeader, bool) {
	if s := im.section(".eh_frame"); s != nil && s.Flags&elf.SHF_COMPRESSED == 0 {
		return s.SectionHeader, s.Size > 0
	}
	head := make([]byte, 8)
	if im.frames.Filesz < 8 || im.read(im.frames.Vaddr, head) != nil {
		return elf.SectionHeader{}, false
	}
	const version, pcrelSigned4 = 1, 0x1b
	if head[0] != version || head[1] != pcrelSigned4 {
		return elf.SectionHeader{}, false
	}
	addr := im.frames.Vaddr + 4 + uint64(int64(int32(binary.LittleEndian.Uint32(head[4:]))))
	for _, l := range im.loads {
		if addr >= l.Vaddr && addr-l.Vaddr < l.Filesz {
			at := addr - l.Vaddr
			return elf.SectionHeader{Addr: addr, Offset: l.Off + at, Size: l.Filesz - at}, true
		}
	}
	return elf.SectionHeader{}, false
}

// packRows makes one sorted table. Blocks that overlap what came before them
// are left out.
func packRows(data *stackdeltatypes.IntervalData) (*rows, error) {
	if uint64(data.NumDeltas)+uint64(len(data.Blocks)) > maxRows {
		return nil, fmt.Errorf("read unwind tables: %d rows are too many", data.NumDeltas)
	}
	n := int(data.NumDeltas) + len(data.Blocks)
	t := &rows{starts: make([]uint32, 0, n), index: make([]uint16, 0, n)}
	known := map[rule]uint16{}
	fits := true
	add := func(start uint64, r rule) {
		if len(t.starts) == 0 {
			t.base = start
		}
		i, ok := known[r]
		if fits = fits && start-t.base <= math.MaxUint32 && (ok || len(t.rules) <= math.MaxUint16); !fits {
			return
		}
		if !ok {
			i = uint16(len(t.rules))
			known[r] = i
			t.rules = append(t.rules, r)
		}
		at := uint32(start - t.base)
		if n := len(t.starts); n > 0 && t.starts[n-1] == at {
			t.index[n-1] = i
			return
		}
		t.starts = append(t.starts, at)
		t.index = append(t.index, i)
	}
	var end uint64
	for _, b := range data.Blocks {
		if b.Start < end || b.End <= b.Start {
			continue
		}
		at := b.Start
		for _, d := range b.Deltas {
			start := b.Start + uint64(d.Offset)
			if start < at || start >= b.End {
				break
			}
			add(start, d.Info)
			at = start
		}
		end = b.End
		add(end, stackdeltatypes.UnwindInfoInvalid)
	}
	if !fits {
		return nil, errors.New("read unwind tables: of more than 4 GiB of code, or of more than 65,536 rules")
	}
	return t, nil
}

func (t *rows) empty() bool { return len(t.starts) == 0 }

// find returns the rule at an address.
func (t *rows) find(addr uint64) rule {
	if addr < t.base {
		return stackdeltatypes.UnwindInfoInvalid
	}
	i := sort.Search(len(t.starts), func(i int) bool { return uint64(t.starts[i]) > addr-t.base })
	if i == 0 {
		return stackdeltatypes.UnwindInfoInvalid
	}
	return t.rules[t.index[i-1]]
}
