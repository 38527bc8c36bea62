package hotspot

import (
	"errors"
	"fmt"
	"sort"
)

const (
	maxScopes   = 512 // of inlined calls at one pc
	scopeHeader = 15  // bytes of the three numbers that a scope begins with, at most
)

// scope is one of the methods that a pc of compiled code stands for.
type scope struct {
	method uint64
	bci    uint32
}

// scopesAt returns what the compiler says of the pc at offset pos in b's code, innermost first. near: pos itself is not
// described (the call there is no safepoint), and the scopes are those of the next pc that is, as the VM itself takes it.
// No scopes: nothing is described from there on.
func (vm *VM) scopesAt(d debug, pos uint32) (scopes []scope, near bool, err error) {
	offset, near, err := vm.pcDesc(d.pcs, pos)
	if err != nil || offset == 0 {
		return nil, near, err
	}
	for limit := uint32(d.scopes.size()); offset != 0; { // a scope lies behind its sender's
		if offset >= limit {
			return nil, near, fmt.Errorf("scope at %d, its callee at %d", offset, limit)
		}
		if len(scopes) == maxScopes {
			return nil, near, errors.New("too many scopes")
		}
		limit = offset
		p, err := vm.bytes(d.scopes.begin+uint64(offset), int(min(scopeHeader, d.scopes.size()-uint64(offset))))
		if err != nil {
			return nil, near, fmt.Errorf("scope: %w", err)
		}
		var s scope
		if s, offset, err = vm.scope(d.metadata, p); err != nil {
			return nil, near, err
		}
		scopes = append(scopes, s)
	}
	return scopes, near, nil
}

// scope decodes the head of a scope: where its sender's lies (0: it has none), which method, and where in it.
func (vm *VM) scope(metadata region, p []byte) (s scope, sender uint32, err error) {
	u := unsigned5{p: p, excess: vm.excess}
	var n [3]uint32
	for i := range n {
		if n[i], err = u.next(); err != nil {
			return s, 0, fmt.Errorf("scope: %w", err)
		}
	}
	sender, index, bci := n[0], n[1], n[2]
	if index == 0 || uint64(index) > metadata.size()/8 {
		return s, 0, fmt.Errorf("scope: method %d of %d", index, metadata.size()/8)
	}
	if bci > 0 { // 0 is the entry, before the first bytecode
		bci--
	}
	if bci > maxCode {
		return s, 0, fmt.Errorf("scope: bytecode index %d", bci)
	}
	s.bci = bci
	s.method, err = vm.u64(metadata.begin + 8*uint64(index-1))
	return s, sender, err
}

// pcDesc looks up the offset in scopes of a pc: that of the first description at or after it. They are in order.
func (vm *VM) pcDesc(pcs region, pos uint32) (offset uint32, near bool, err error) {
	l := &vm.debug
	n := int(pcs.size() / l.pcSize)
	at := func(i int, field uint64) uint32 {
		v, err1 := vm.u32(pcs.begin + uint64(i)*l.pcSize + field)
		if err1 != nil && err == nil {
			err = fmt.Errorf("description of a pc: %w", err1)
		}
		return v
	}
	i := sort.Search(n, func(i int) bool { return int32(at(i, l.pcOffset)) >= int32(pos) })
	if err != nil || i == n {
		return 0, true, err
	}
	return at(i, l.pcScope), at(i, l.pcOffset) != pos, err
}
