package hotspot

import (
	"fmt"
	"math"
	"strconv"
)

const (
	maxFlags     = 4096 // JDK 25 has 1,400
	maxFlagValue = 64 << 10
)

// flagKinds are JVMFlag's kinds of values in the order of its enumeration, since JDK 17. Before, each flag bore the name of its kind.
var flagKinds = []string{"bool", "int", "uint", "intx", "uintx", "uint64_t", "size_t", "double", "ccstr", "ccstrlist"}

// flag is one of the VM's options: what kind it is and where its value lies.
type flag struct {
	kind string
	addr uint64
}

// Flag returns an option of the VM as it is now: `-XX:MaxDirectMemorySize` by the name "MaxDirectMemorySize", set or not.
// Numbers are decimal, booleans true or false. It is not ok if there is no such option or it cannot be read.
func (vm *VM) Flag(name string) (value string, ok bool) {
	if vm.flags == nil {
		flags, err := vm.readFlags()
		if err != nil {
			return "", false
		}
		vm.flags = flags
	}
	f, ok := vm.flags[name]
	if !ok {
		return "", false
	}
	value, err := vm.flagValue(f)
	return value, err == nil
}

// isSet reports whether a boolean option is on; one that this VM does not have is off.
func (vm *VM) isSet(name string) bool {
	value, _ := vm.Flag(name)
	return value == "true"
}

// readFlags reads the table of options, not their values, which may change.
func (vm *VM) readFlags() (map[string]flag, error) {
	typ := "JVMFlag"
	if _, ok := vm.table.size(typ); !ok {
		typ = "Flag" // JDK 8
	}
	f := vm.find()
	size, nameAt, addrAt, kindAt := f.size(typ), f.offset(typ, "_name"), f.offset(typ, "_addr"), f.offset(typ, "_type")
	first, count := f.static(typ, "flags"), f.static(typ, "numFlags")
	if err := f.err(); err != nil {
		return nil, err
	}
	if size < 8 || max(nameAt, addrAt, kindAt)+8 > size+4 { // _type may be the last four bytes
		return nil, fmt.Errorf("flags: rows of %d bytes", size)
	}
	at, err := vm.u64(first)
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	n, err := vm.u64(count)
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	if n > maxFlags {
		return nil, fmt.Errorf("flags: %d of them", n)
	}
	kindField, _ := vm.table.lookup(typ, "_type")
	byName := kindField.typ != "int"
	flags := make(map[string]flag, n)
	for i := range n {
		row := at + i*size
		text, err := vm.u64(row + nameAt)
		if err != nil {
			return nil, fmt.Errorf("flags: row %d: %w", i, err)
		}
		if text == 0 {
			continue // the row that ends the table
		}
		name, err := vm.cstring(text, maxName)
		if err != nil {
			return nil, fmt.Errorf("flags: row %d: %w", i, err)
		}
		kind, err := vm.flagKind(row+kindAt, byName)
		if err != nil {
			return nil, fmt.Errorf("flag %s: %w", name, err)
		}
		addr, err := vm.u64(row + addrAt)
		if err != nil {
			return nil, fmt.Errorf("flag %s: %w", name, err)
		}
		flags[name] = flag{kind, addr}
	}
	return flags, nil
}

func (vm *VM) flagKind(at uint64, byName bool) (string, error) {
	if byName {
		text, err := vm.u64(at)
		if err != nil {
			return "", err
		}
		return vm.cstring(text, maxName)
	}
	n, err := vm.u32(at)
	if err != nil {
		return "", err
	}
	if int64(n) >= int64(len(flagKinds)) {
		return "", fmt.Errorf("kind %d", n)
	}
	return flagKinds[n], nil
}

// flagValue reads a value past the cache.
func (vm *VM) flagValue(f flag) (string, error) {
	switch f.kind {
	case "bool":
		b, err := vm.raw.u8(f.addr)
		return strconv.FormatBool(b != 0), err
	case "int":
		n, err := vm.raw.u32(f.addr)
		return strconv.FormatInt(int64(int32(n)), 10), err
	case "uint":
		n, err := vm.raw.u32(f.addr)
		return strconv.FormatUint(uint64(n), 10), err
	}
	n, err := vm.raw.u64(f.addr)
	if err != nil {
		return "", err
	}
	switch f.kind {
	case "intx":
		return strconv.FormatInt(int64(n), 10), nil
	case "uintx", "uint64_t", "size_t":
		return strconv.FormatUint(n, 10), nil
	case "double":
		return strconv.FormatFloat(math.Float64frombits(n), 'f', -1, 64), nil
	case "ccstr", "ccstrlist":
		if n == 0 {
			return "", nil
		}
		return vm.raw.cstring(n, maxFlagValue)
	}
	return "", fmt.Errorf("flag of kind %q", f.kind)
}
