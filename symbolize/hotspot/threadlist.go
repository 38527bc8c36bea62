package hotspot

import "fmt"

const maxThreads = 1 << 16

// threadLayout is where threads keep what is read of them.
type threadLayout struct {
	osthread, id        uint64 // JavaThread, OSThread
	object, virtual     uint64 // JavaThread: handles of the java.lang.Thread, of the one that runs now
	handles, hasVirtual bool
	list                uint64 // of the variable: the list (11), the first thread (8)
	length, threads     uint64 // of the list
	next                uint64 // without a list: from thread to thread
	count               uint64 // the variable that holds the number of threads
	name, tid, eetop    uint64 // java.lang.Thread
}

// threadList is the VM's threads as they were read last.
type threadList struct {
	threads *threadLayout  // nil until threads are asked for
	byTID   map[int]uint64 // their addresses
	stamp   [2]uint64      // of the list when byTID was made
}

// JavaThread returns the address of the VM's own object of a thread, by its TID as the VM sees it. It is not ok of threads
// that are not Java's.
func (vm *VM) JavaThread(tid int) (addr uint64, ok bool) {
	l, err := vm.threadLayout()
	if err != nil {
		return 0, false
	}
	if addr, ok := vm.byTID[tid]; ok && vm.tidOf(vm.raw, l, addr) == tid {
		return addr, true
	}
	stamp, err := vm.listStamp(l)
	if err != nil || stamp == vm.stamp && vm.byTID != nil {
		return 0, false // the same list as when it was not there
	}
	vm.cache.Drop()
	addrs, err := vm.javaThreads(l)
	if err != nil {
		return 0, false
	}
	vm.byTID, vm.stamp = make(map[int]uint64, len(addrs)), stamp
	for _, a := range addrs {
		if id := vm.tidOf(vm.reader, l, a); id > 0 {
			vm.byTID[id] = a
		}
	}
	addr, ok = vm.byTID[tid]
	return addr, ok
}

func (vm *VM) threadLayout() (*threadLayout, error) {
	if vm.threadList.threads != nil {
		return vm.threadList.threads, nil
	}
	h, err := vm.objects()
	if err != nil {
		return nil, err
	}
	f := vm.find()
	l := &threadLayout{
		osthread: f.offset("JavaThread", "_osthread"), id: f.offset("OSThread", "_thread_id"),
		object: f.offset("JavaThread", "_threadObj"), count: f.static("Threads", "_number_of_threads"),
	}
	object, _ := vm.table.lookup("JavaThread", "_threadObj")
	l.handles = object.typ == "OopHandle" // since 16
	if _, ok := vm.table.size("ThreadsList"); ok {
		l.list = f.static("ThreadsSMRSupport", "_java_thread_list")
		l.length, l.threads = f.offset("ThreadsList", "_length"), f.offset("ThreadsList", "_threads")
	} else {
		l.list, l.next = f.static("Threads", "_thread_list"), f.offset("JavaThread", "_next")
	}
	l.virtual, l.hasVirtual = vm.table.offset("JavaThread", "_vthread")
	if err := f.err(); err != nil {
		return nil, err
	}
	for _, field := range []struct {
		to              *uint64
		name, signature string
	}{{&l.name, "name", "Ljava/lang/String;"}, {&l.tid, "tid", "J"}, {&l.eetop, "eetop", "J"}} {
		if *field.to, err = vm.fieldOffset(h.threadKlass, field.name, field.signature); err != nil {
			return nil, err
		}
	}
	vm.threadList.threads = l
	return l, nil
}

// listStamp changes whenever a thread is added or removed.
func (vm *VM) listStamp(l *threadLayout) (stamp [2]uint64, err error) {
	if stamp[0], err = vm.raw.u64(l.list); err != nil {
		return stamp, fmt.Errorf("list of threads: %w", err)
	}
	n, err := vm.raw.u32(l.count)
	stamp[1] = uint64(n)
	return stamp, err
}

// javaThreads returns the addresses of the threads. A list is never changed but replaced by a new one, and its memory used
// again later: what was read of one that was replaced meanwhile is read anew.
func (vm *VM) javaThreads(l *threadLayout) (addrs []uint64, err error) {
	for range 8 {
		var before, after [2]uint64
		if before, err = vm.listStamp(l); err != nil {
			return nil, err
		}
		if l.next != 0 {
			addrs, err = vm.linkedThreads(l, before[0])
		} else {
			addrs, err = vm.listedThreads(l, before[0])
		}
		if err != nil {
			continue
		}
		if after, err = vm.listStamp(l); err == nil && before == after {
			return addrs, nil
		}
	}
	if err == nil && addrs != nil { // it changes all the time: what does not belong will not look like a thread
		return addrs, nil
	}
	return nil, fmt.Errorf("list of threads: %w", err)
}

func (vm *VM) listedThreads(l *threadLayout, list uint64) ([]uint64, error) {
	if list == 0 {
		return nil, ErrNotReady
	}
	n, err := vm.raw.u32(list + l.length)
	if err != nil {
		return nil, err
	}
	if n > maxThreads {
		return nil, fmt.Errorf("%d threads", n)
	}
	at, err := vm.raw.u64(list + l.threads)
	if err != nil {
		return nil, err
	}
	words, err := vm.raw.bytes(at, int(n)*8)
	if err != nil {
		return nil, err
	}
	addrs := make([]uint64, n)
	for i := range addrs {
		addrs[i] = le64(words[8*i:])
	}
	return addrs, nil
}

func (vm *VM) linkedThreads(l *threadLayout, first uint64) (addrs []uint64, err error) {
	seen := map[uint64]bool{}
	for at := first; at != 0 && !seen[at]; {
		if len(addrs) == maxThreads {
			return nil, fmt.Errorf("more than %d threads", maxThreads)
		}
		seen[at] = true
		addrs = append(addrs, at)
		if at, err = vm.u64(at + l.next); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

// tidOf reads a thread's TID; 0 if it has none (yet).
func (vm *VM) tidOf(mem reader, l *threadLayout, addr uint64) int {
	osthread, err := mem.u64(addr + l.osthread)
	if err != nil || osthread == 0 {
		return 0
	}
	id, err := mem.u32(osthread + l.id)
	if err != nil || int32(id) < 0 {
		return 0
	}
	return int(id)
}
