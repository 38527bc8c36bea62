package hotspot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DirectMemory is what a class counts of memory outside of the heap that it has given out. Nil is not known.
type DirectMemory struct {
	Class    string  // java.nio.Bits; io.netty.util.internal.PlatformDependent, wherever it was shaded to
	Field    string  // that Used was read from
	Used     *uint64 // bytes reserved
	Limit    *uint64 // at most so many
	Capacity *uint64 // of the buffers, without what is added for alignment (Bits)
	Count    *uint64 // of buffers (Bits)
}

// bitsFields are what java.nio.Bits calls its counters: used, capacity, count, limit, and whether the limit is set; since 9, and in 8.
var bitsFields = [][5]string{
	{"RESERVED_MEMORY", "TOTAL_CAPACITY", "COUNT", "MAX_MEMORY", "MEMORY_LIMIT_SET"},
	{"reservedMemory", "totalCapacity", "count", "maxMemory", "memoryLimitSet"},
}

const (
	nettyUsed  = "DIRECT_MEMORY_COUNTER"
	nettyLimit = "DIRECT_MEMORY_LIMIT"
)

// DirectMemory reads the counters of direct memory: that of java.nio.Bits, of ByteBuffer.allocateDirect, and Netty's own, of
// what it takes by Unsafe, from every copy of its class. They are read from the classes' static fields, and what a collector
// was moving for longer than a tenth of a second is left out with an error: the next reading will find it. A copy of Netty that does not count (since the JDK
// does not let it do without cleaners, or it was told not to) is not listed.
func (vm *VM) DirectMemory() ([]DirectMemory, error) {
	if _, err := vm.objects(); err != nil {
		return nil, err
	}
	var errs problems
	errs.add("classes", vm.lookThroughClasses())
	var list []DirectMemory
	pauses := maxPauses
	for klass, f := range vm.graph.wanted {
		name, read := f.name, vm.nettyMemory
		switch {
		case name == "java/nio/Bits":
			read = vm.bitsMemory
		case strings.HasSuffix(name, "/VM"):
			continue
		}
		var d *DirectMemory
		var err error
		steady := vm.steadily(func() { d, err = read(klass) })
		for ; !steady && pauses > 0; pauses-- { // while a collection stops the program
			time.Sleep(time.Millisecond)
			steady = vm.steadily(func() { d, err = read(klass) })
		}
		switch {
		case !vm.stillCalled(klass, name):
			delete(vm.graph.wanted, klass) // unloaded
		case !steady:
			errs.add(name, errors.New("objects are being moved"))
		case err != nil:
			errs.add(name, err)
		case d != nil:
			d.Class = className(name)
			list = append(list, *d)
		}
	}
	slices.SortFunc(list, func(a, b DirectMemory) int { return cmp.Compare(a.Class, b.Class) })
	return list, errs.err()
}

// stillCalled reports whether a class is still what it was.
func (vm *VM) stillCalled(klass uint64, name string) bool {
	at, err := vm.raw.u64(klass + vm.methodLayout.klassName)
	if err != nil {
		return false
	}
	now, err := vm.symbol(at)
	return err == nil && now == name
}

// bitsMemory reads java.nio.Bits. Its counters are made when it is first used: until then nothing was reserved.
func (vm *VM) bitsMemory(klass uint64) (*DirectMemory, error) {
	mirror, err := vm.mirror(klass)
	if err != nil {
		return nil, err
	}
	fields := bitsFields[0]
	if _, err := vm.ownFieldOffset(klass, fields[0], atomicLong, true); errors.Is(err, errNoField) {
		fields = bitsFields[1]
	}
	d := &DirectMemory{Field: fields[0]}
	for i, to := range []**uint64{&d.Used, &d.Capacity, &d.Count} {
		n, set, err := vm.staticCounter(klass, mirror, fields[i])
		if err != nil {
			return nil, err
		}
		if *to = &n; !set {
			n = 0
		}
	}
	// The limit is taken over from the VM's class by the first reservation.
	if set, err := vm.staticFlag(klass, mirror, fields[4]); err == nil && set {
		if n, err := vm.staticLong(klass, mirror, fields[3]); err == nil {
			d.Limit = &n
		}
	} else if n, err := vm.directLimit(); err == nil {
		d.Limit = &n
	}
	return d, nil
}

// directLimit is what java.nio.Bits will take for its limit: -XX:MaxDirectMemorySize, or else the largest heap.
func (vm *VM) directLimit() (uint64, error) {
	for klass, f := range vm.graph.wanted {
		if strings.HasSuffix(f.name, "/VM") {
			mirror, err := vm.mirror(klass)
			if err != nil {
				return 0, err
			}
			return vm.staticLong(klass, mirror, "directMemory")
		}
	}
	return 0, errNoField
}

// nettyMemory reads a copy of PlatformDependent; nil if that is another class of this name, or does not count.
func (vm *VM) nettyMemory(klass uint64) (*DirectMemory, error) {
	_, err := vm.ownFieldOffset(klass, nettyUsed, atomicLong, true)
	if errors.Is(err, errNoField) {
		return nil, nil
	}
	mirror, err := vm.mirror(klass)
	if err != nil {
		return nil, err
	}
	n, counts, err := vm.staticCounter(klass, mirror, nettyUsed)
	if err != nil || !counts {
		return nil, err
	}
	d := &DirectMemory{Field: nettyUsed, Used: &n}
	if limit, err := vm.staticLong(klass, mirror, nettyLimit); err == nil && int64(limit) > 0 {
		d.Limit = &limit
	}
	return d, nil
}

const atomicLong = "Ljava/util/concurrent/atomic/AtomicLong;"

// staticCounter reads a static AtomicLong of a class; it is not set if the field is null.
func (vm *VM) staticCounter(klass, mirror uint64, name string) (n uint64, set bool, err error) {
	at, err := vm.ownFieldOffset(klass, name, atomicLong, true)
	if err != nil {
		return 0, false, err
	}
	ref, err := vm.fieldOop(mirror + at)
	if err != nil || ref == 0 {
		return 0, false, err
	}
	object, counter, err := vm.object(ref)
	if err != nil {
		return 0, false, err
	}
	if ok, err := vm.isNamed(counter, "java/util/concurrent/atomic/AtomicLong"); err != nil || !ok {
		return 0, false, errors.Join(fmt.Errorf("%s: %w", name, errNoObject), err)
	}
	value, err := vm.fieldOffset(counter, "value", "J")
	if err != nil {
		return 0, false, err
	}
	n, err = vm.u64(object + value)
	if err == nil && int64(n) < 0 {
		err = fmt.Errorf("%s is %d", name, int64(n))
	}
	return n, true, err
}

// isNamed reports whether a class has this internal name.
func (vm *VM) isNamed(klass uint64, name string) (bool, error) {
	return vm.isSymbol(klass+vm.methodLayout.klassName, name)
}

func (vm *VM) staticLong(klass, mirror uint64, name string) (uint64, error) {
	at, err := vm.ownFieldOffset(klass, name, "J", true)
	if err != nil {
		return 0, err
	}
	return vm.u64(mirror + at)
}

func (vm *VM) staticFlag(klass, mirror uint64, name string) (bool, error) {
	at, err := vm.ownFieldOffset(klass, name, "Z", true)
	if err != nil {
		return false, err
	}
	b, err := vm.u8(mirror + at)
	return b == 1, err
}
