package hotspot

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

// VM is a HotSpot VM that is read while it runs. It belongs to one goroutine. Close is not needed: it holds no file.
type VM struct {
	reader         // through the cache of pages
	raw     reader // past it
	cache   *PageCache
	fresh   *PageCache // for one question at a time
	table   *table
	version Version

	code       *codeCache
	blobLayout *blobLayout
	blobs      map[uint64]*blob // by pc
	blobsOf    uint64           // the generation of pages that they were made from

	flags  map[string]flag // nil until one is asked for
	heap   *heap           // nil until an object is looked at
	walk   walkLayout
	cont   contLayout
	graph  classGraph
	stacks stackList

	findLocals func() (map[string]uint64, error) // nil: there is no file to look in
	locals     map[string]uint64                 // nil until one is asked for
	threadList
	namer
}

// Attach makes the VM that runs in the process pid readable. The errors are ErrNotHotSpot (no HotSpot VM; a process that has
// just begun may still load one), ErrNotReady (try again), or those of reading the process. The process notices nothing.
func Attach(pid int) (*VM, error) {
	base, mapping, err := findLibjvm(pid)
	if err != nil {
		return nil, err
	}
	mem := ProcessMemory{PID: pid}
	im, err := openImage(NewPageCache(mem), base)
	if err != nil {
		return nil, fmt.Errorf("libjvm.so at %#x of process %d: %w", base, pid, err)
	}
	vm, err := New(mem, im.symbol)
	if err != nil {
		return nil, err
	}
	vm.findLocals = func() (map[string]uint64, error) { return localSymbols(pid, mapping, im.bias, localNames) }
	return vm, nil
}

// New makes a VM readable whose memory is mem and whose libjvm.so's symbols are at the addresses that symbol tells.
func New(mem Memory, symbol func(name string) (uint64, bool)) (*VM, error) {
	cache := NewPageCache(mem)
	vm := &VM{reader: reader{cache}, raw: reader{mem}, cache: cache, fresh: NewPageCache(mem)}
	err := vm.init(symbol)
	if unsettled := vm.table.settled(vm.raw); unsettled != nil {
		return nil, unsettled
	}
	if err != nil {
		return nil, err
	}
	return vm, nil
}

func (vm *VM) init(symbol func(name string) (uint64, bool)) (err error) {
	if vm.table, err = readTable(vm, symbol); err != nil {
		return err
	}
	if vm.version, err = readVersion(vm.reader, vm.table); err != nil {
		return err
	}
	f := vm.find()
	vm.blobLayout, vm.blobs = newBlobLayout(f), map[uint64]*blob{}
	vm.namer = newNamer(f, vm.version)
	vm.walk, vm.cont = newWalkLayout(f, vm.version), newContLayout(f)
	if err := f.err(); err != nil {
		return err
	}
	return vm.Resync()
}

// Resync forgets what was read and reads the code heaps again.
func (vm *VM) Resync() error {
	vm.cache.Drop()
	code, err := vm.readCodeCache()
	if err != nil {
		return err
	}
	vm.code = code
	return nil
}

// Rest lets go of the pages that were read, for a VM that is read once in a while.
func (vm *VM) Rest() {
	for _, c := range []*PageCache{vm.cache, vm.fresh} {
		c.Drop()
		c.pages = nil
	}
}

// Version returns the version of the VM.
func (vm *VM) Version() Version { return vm.version }

// find begins a row of look-ups in the VM's tables.
func (vm *VM) find() *finder { return &finder{table: vm.table} }

func findLibjvm(pid int) (base uint64, mapping string, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	base, mapping, err = parseLibjvm(f)
	if err != nil {
		return 0, "", fmt.Errorf("process %d: %w", pid, err)
	}
	return base, mapping, nil
}

// parseLibjvm finds where the first byte of libjvm.so is mapped, and the mapping's range as /proc writes it.
func parseLibjvm(maps io.Reader) (base uint64, mapping string, err error) {
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// start-end perm offset dev inode path
		parts := strings.SplitN(lines.Text(), " ", 6)
		if len(parts) < 6 {
			continue
		}
		name := path.Base(strings.TrimSuffix(strings.TrimSpace(parts[5]), " (deleted)"))
		if strings.HasPrefix(name, "libj9vm") { // OpenJ9 has a libjvm.so too
			return 0, "", fmt.Errorf("%w: OpenJ9 (%s)", ErrNotHotSpot, name)
		}
		if name != "libjvm.so" || strings.Trim(parts[2], "0") != "" {
			continue
		}
		start, _, _ := strings.Cut(parts[0], "-")
		if base, err := strconv.ParseUint(start, 16, 64); err == nil && base != 0 {
			return base, parts[0], nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, "", fmt.Errorf("maps: %w", err)
	}
	return 0, "", fmt.Errorf("%w: no libjvm.so is mapped", ErrNotHotSpot)
}

func le16(p []byte) uint16 { return binary.LittleEndian.Uint16(p) }
func le32(p []byte) uint32 { return binary.LittleEndian.Uint32(p) }
func le64(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }
