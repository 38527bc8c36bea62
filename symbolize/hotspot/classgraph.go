package hotspot

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

const (
	maxLoaders  = 1 << 16
	maxClasses  = 1 << 19
	maxWanted   = 64
	maxGraph    = 2 * time.Second
	rootChunk   = 4 << 20 // metaspace is reserved in multiples of this, aligned to it, since JDK 16
	sinceChunks = 16
)

// wantedClasses are the ends of names of classes that are looked for: those that count direct memory.
var wantedClasses = []string{"java/nio/Bits", "jdk/internal/misc/VM", "sun/misc/VM", "PlatformDependent"}

var (
	errTooManyClasses = errors.New("classes: there are too many to look at in one go")
	errLoaders        = errors.New("class loaders: one was removed while they were looked at")
)

// found is a class that was looked for.
type found struct {
	name   string // internal
	loader uint64 // 0 in JDK 8
}

// classGraph is what was found among the classes of all loaders. They are many, and new ones come before the older ones of
// their loader: each look goes through what is new.
type classGraph struct {
	newest map[uint64]uint64 // of each loader (ClassLoaderData), the class that was loaded last
	wanted map[uint64]found  // by class
	low    uint64            // of the classes that are not in the archive of shared ones: the lowest and highest
	high   uint64
	chunks map[uint64]bool // the chunks of metaspace that are known to be in use, by address
	stamp  [2]uint64       // of JDK 8's dictionary when it was gone through
}

type graphLayout struct {
	head, next, klasses, nextKlass, name, constants, methods uint64
	sharedLow, sharedHigh                                    uint64 // the archive
}

func (vm *VM) graphLayout() (graphLayout, error) {
	f := vm.find()
	l := graphLayout{
		head: f.static("ClassLoaderDataGraph", "_head"), next: f.offset("ClassLoaderData", "_next"),
		name: f.offset("Klass", "_name"), constants: f.offset("InstanceKlass", "_constants"), methods: f.offset("InstanceKlass", "_methods"),
	}
	if vm.version.Major > 8 {
		l.klasses, l.nextKlass = f.offset("ClassLoaderData", "_klasses"), f.offset("Klass", "_next_link")
	}
	if err := f.err(); err != nil {
		return l, err
	}
	l.sharedLow, l.sharedHigh = vm.sharedArchive()
	return l, nil
}

// sharedArchive returns where the archive of shared classes is mapped, 0 if it is not or not known.
func (vm *VM) sharedArchive() (low, high uint64) {
	base, ok := vm.table.static("MetaspaceObj", "_shared_metaspace_base")
	top, ok2 := vm.table.static("MetaspaceObj", "_shared_metaspace_top")
	if !ok || !ok2 {
		return 0, 0
	}
	low, err := vm.u64(base)
	high, err2 := vm.u64(top)
	if err != nil || err2 != nil || low == 0 || low%pageSize != 0 || high <= low || high-low > maxHeap {
		return 0, 0
	}
	return low, high
}

// lookThroughClasses brings vm.graph up to date. What it finds may be unloaded at any time.
func (vm *VM) lookThroughClasses() error {
	l, err := vm.graphLayout()
	if err != nil {
		return err
	}
	vm.cache.Drop()
	g := &vm.graph
	if g.wanted == nil {
		g.newest = map[uint64]uint64{}
		g.wanted, g.chunks = map[uint64]found{}, map[uint64]bool{}
	}
	if vm.version.Major == 8 {
		return vm.lookThroughDictionary(&l)
	}
	loader, err := vm.u64(l.head)
	if err != nil {
		return fmt.Errorf("class loaders: %w", err)
	}
	newest := map[uint64]uint64{}
	begin, left := vm.cache.now(), maxClasses
	for loader != 0 && len(newest) < maxLoaders {
		if _, seen := newest[loader]; seen {
			return errLoaders // its memory is used for another one
		}
		first, err := vm.u64(loader + l.klasses)
		if err != nil {
			return fmt.Errorf("%w: %w", errLoaders, err)
		}
		newest[loader] = first
		for klass := first; klass != 0 && klass != g.newest[loader]; left-- {
			if left == 0 || left%256 == 0 && vm.cache.now()-begin > maxGraph {
				return errTooManyClasses
			}
			if klass, err = vm.lookAt(&l, loader, klass); err != nil {
				break
			}
		}
		g.newest[loader] = first
		if loader, err = vm.u64(loader + l.next); err != nil {
			return fmt.Errorf("%w: %w", errLoaders, err)
		}
	}
	g.newest = newest
	maps.DeleteFunc(g.wanted, func(_ uint64, f found) bool { return newest[f.loader] == 0 }) // unloaded
	return nil
}

// lookAt notes what is of interest of one class, and returns the one after it.
func (vm *VM) lookAt(l *graphLayout, loader, klass uint64) (next uint64, err error) {
	if klass%word != 0 {
		return 0, errNoObject
	}
	g := &vm.graph
	if next, err = vm.u64(klass + l.nextKlass); err != nil {
		return 0, err
	}
	name, err := vm.u64(klass + l.name)
	if err != nil {
		return 0, err
	}
	if want, ok := vm.isWanted(name); ok && len(g.wanted) < maxWanted {
		g.wanted[klass] = found{want, loader}
	}
	if klass < l.sharedLow || klass >= l.sharedHigh {
		if g.low == 0 || klass < g.low {
			g.low = klass
		}
		g.high = max(g.high, klass)
	}
	if vm.heap != nil && !vm.heap.klassNarrow { // classes are in metaspace too
		g.chunks[klass&^(rootChunk-1)] = true
	}
	for _, at := range []uint64{l.constants, l.methods} { // of an array's class this is something else
		data, err := vm.u64(klass + at)
		if err == nil && data != 0 && data%word == 0 && (data < l.sharedLow || data >= l.sharedHigh) && vm.isInstance(klass) {
			g.chunks[data&^(rootChunk-1)] = true
		}
	}
	return next, nil
}

// isInstance reports whether a class is of objects that are no arrays: its layout helper is not negative.
func (vm *VM) isInstance(klass uint64) bool {
	at, ok := vm.table.offset("Klass", "_layout_helper")
	if !ok {
		return false
	}
	n, err := vm.u32(klass + at)
	return err == nil && int32(n) >= 0
}

// isWanted reports whether the Symbol at name is the name of a class that is looked for.
func (vm *VM) isWanted(name uint64) (string, bool) {
	n, err := vm.u16(name + vm.symbols.length)
	if err != nil {
		return "", false
	}
	for _, end := range wantedClasses {
		if int(n) < len(end) {
			continue
		}
		tail, err := vm.bytes(name+vm.symbols.body+uint64(n)-uint64(len(end)), len(end))
		if err != nil {
			return "", false
		}
		if string(tail) != end {
			continue
		}
		whole, err := vm.symbol(name)
		if err == nil && (end == "PlatformDependent" || whole == end) && validClass(whole) && len(whole) < maxName {
			return whole, true
		}
	}
	return "", false
}

// mirror returns the java.lang.Class object of a class, which holds its static fields. The object knows its class: one that
// was unloaded has none.
func (vm *VM) mirror(klass uint64) (uint64, error) {
	ref, err := vm.mirrorAt(klass)
	if err != nil {
		return 0, err
	}
	object, ofClass, err := vm.object(ref)
	if err != nil {
		return 0, err
	}
	classKlass, err := vm.wellKnownKlass("Class")
	if err != nil {
		return 0, err
	}
	at, ok := vm.table.static("java_lang_Class", "_klass_offset")
	if !ok {
		return 0, fmt.Errorf("%w: it does not export java_lang_Class._klass_offset", ErrNotHotSpot)
	}
	offset, err := vm.u32(at)
	if err != nil {
		return 0, err
	}
	back, err := vm.u64(object + uint64(offset))
	if err != nil || offset > maxOffset || ofClass != classKlass || back != klass {
		return 0, errors.Join(fmt.Errorf("mirror of the class at %#x: %w", klass, errNoObject), err)
	}
	return object, nil
}

func (vm *VM) mirrorAt(klass uint64) (uint64, error) {
	f, ok := vm.table.lookup("Klass", "_java_mirror")
	if !ok || f.static || f.value > maxOffset {
		return 0, fmt.Errorf("%w: it does not export Klass._java_mirror", ErrNotHotSpot)
	}
	if strings.HasPrefix(f.typ, "OopHandle") { // since 10
		return vm.handle(klass + f.value)
	}
	return vm.nativeOop(klass + f.value)
}
