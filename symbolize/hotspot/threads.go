package hotspot

import (
	"fmt"
	"slices"
	"time"
)

const (
	maxNames   = 16 << 20 // bytes of all names
	maxReading = 5 * time.Second
	maxPauses  = 100 // milliseconds that collections which stop the program are waited for
)

// Thread is a thread that is known to the VM as Java's: the program's own, and the compiler's and other helpers that run
// Java code or could. (Threads of the garbage collector and the like are in no list that the VM exports: the kernel's
// name of them is the VM's, cut at 15 bytes.)
type Thread struct {
	TID     int    // as the VM sees it: in its own PID namespace
	Address uint64 // of the JavaThread
	Named   bool   // Name could be read
	Name    string // as Java has it, at most 64 KiB: may be empty, hold quotes, newlines; valid UTF-8
	ID      int64  // java.lang.Thread's
	Virtual *Virtual
}

// Virtual is the virtual thread that is mounted on a thread.
type Virtual struct {
	Name string // may be empty: virtual threads have no name unless they are given one
	ID   int64
}

// Threads lists the Java threads that run now, without stopping them: one that starts or ends meanwhile may be missing. One
// whose name cannot be read (it has only just begun, is about to end, or its object is just being moved) is not Named.
// There are at most 65,536, and it takes no longer than 5 s.
func (vm *VM) Threads() ([]Thread, error) {
	l, err := vm.threadLayout()
	if err != nil {
		return nil, err
	}
	addrs, err := vm.javaThreads(l)
	if err != nil {
		return nil, err
	}
	threads := make([]Thread, 0, len(addrs))
	begin, pauses, room := vm.cache.now(), maxPauses, maxNames
	add := func(read []Thread, steady bool) {
		for _, t := range read {
			if room -= len(t.Name); !steady || room < 0 {
				t = Thread{TID: t.TID, Address: t.Address}
			}
			threads = append(threads, t)
		}
	}
	for few := range slices.Chunk(addrs, 64) {
		if vm.cache.now()-begin > maxReading {
			return nil, fmt.Errorf("threads: %d of %d were read within %v", len(threads), len(addrs), maxReading)
		}
		read, steady := vm.threadsAt(l, few)
		if steady {
			add(read, steady)
			continue
		}
		for one := range slices.Chunk(few, 1) { // objects are moved all the time: the less is read at once the better
			for read, steady = vm.threadsAt(l, one); !steady && pauses > 0 && vm.collecting(); pauses-- {
				time.Sleep(time.Millisecond)
				read, steady = vm.threadsAt(l, one)
			}
			add(read, steady)
		}
	}
	return threads, nil
}

// threadsAt reads the threads at these addresses; what is no thread is left out.
func (vm *VM) threadsAt(l *threadLayout, addrs []uint64) (threads []Thread, steady bool) {
	steady = vm.steadily(func() {
		threads = threads[:0]
		for _, addr := range addrs {
			if t, err := vm.thread(l, addr); err == nil || t.TID != 0 {
				threads = append(threads, t)
			}
		}
	})
	return threads, steady
}

// thread reads one thread. With an error the TID is set if it could be read.
func (vm *VM) thread(l *threadLayout, addr uint64) (Thread, error) {
	t := Thread{TID: vm.tidOf(vm.reader, l, addr), Address: addr}
	if t.TID == 0 {
		return t, fmt.Errorf("thread at %#x: it has no TID", addr)
	}
	ref, err := vm.threadObject(l, addr)
	if err != nil {
		return t, err
	}
	// The object knows its thread: memory that was used again does not.
	object, err := vm.javaLangThread(ref)
	if err != nil {
		return t, err
	}
	back, err := vm.u64(object + l.eetop)
	if err != nil || back != addr {
		return t, fmt.Errorf("thread at %#x: its object belongs to that at %#x", addr, back)
	}
	if t.Name, t.ID, err = vm.nameOf(l, object); err != nil {
		return t, err
	}
	t.Named = true
	if l.hasVirtual {
		t.Virtual, _ = vm.mounted(l, addr, ref) // one that is just being mounted is not mounted
	}
	return t, nil
}

func (vm *VM) threadObject(l *threadLayout, addr uint64) (uint64, error) {
	if l.handles {
		return vm.handle(addr + l.object)
	}
	return vm.nativeOop(addr + l.object)
}

// mounted returns the virtual thread that is mounted on the thread at addr, nil if that runs for itself: as carrier.
func (vm *VM) mounted(l *threadLayout, addr, carrier uint64) (*Virtual, error) {
	current, err := vm.handle(addr + l.virtual)
	if err != nil || current == 0 || current == carrier {
		return nil, err
	}
	object, err := vm.javaLangThread(current)
	if err != nil {
		return nil, err
	}
	if same, _, err := vm.object(carrier); err != nil || same == object { // one of the two references was the old one
		return nil, err
	}
	var v Virtual
	v.Name, v.ID, err = vm.nameOf(l, object)
	return &v, err
}

// javaLangThread follows a reference to a java.lang.Thread or an object of a class that is derived from it.
func (vm *VM) javaLangThread(ref uint64) (uint64, error) {
	at, klass, err := vm.object(ref)
	if err != nil {
		return 0, err
	}
	h := vm.heap
	is, known := h.isThread[klass]
	if !known {
		for k, depth := klass, 0; k != 0 && k%8 == 0 && depth < maxSupers && !is; depth++ {
			is = k == h.threadKlass
			if k, err = vm.u64(k + h.superAt); err != nil {
				return 0, fmt.Errorf("class of a thread: %w", err)
			}
		}
		if is && len(h.isThread) < maxThreads { // others are memory that was used again: there may be no end of them
			h.isThread[klass] = true
		}
	}
	if !is {
		return 0, fmt.Errorf("thread object at %#x: %w", at, errNoObject)
	}
	return at, nil
}

// nameOf reads a java.lang.Thread's name and number.
func (vm *VM) nameOf(l *threadLayout, object uint64) (name string, id int64, err error) {
	n, err := vm.u64(object + l.tid)
	if err != nil {
		return "", 0, fmt.Errorf("thread: %w", err)
	}
	ref, err := vm.fieldOop(object + l.name)
	if err != nil {
		return "", 0, fmt.Errorf("name of a thread: %w", err)
	}
	if ref == 0 { // a virtual thread's
		return "", int64(n), nil
	}
	if name, err = vm.javaString(ref); err != nil {
		return "", 0, fmt.Errorf("name of a thread: %w", err)
	}
	return name, int64(n), nil
}
