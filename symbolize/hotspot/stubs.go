package hotspot

import "fmt"

// stub names a frame in code that the VM generated for itself: by the name that the VM gave the blob. The one stub that
// stands in nearly every stack has its own name, since the VM exports where calls return to it: the way from C++ into Java.
func (vm *VM) stub(p Physical) ([]Frame, error) {
	b, err := vm.blobAt(p.Addr)
	if err != nil {
		return nil, err
	}
	if b.isNmethod() || uint32(b.nameAddr) != p.Check {
		return nil, fmt.Errorf("%w: stub at %#x", ErrGone, p.Addr)
	}
	name := b.name
	back, err := vm.u64(vm.walk.callStub)
	if err != nil {
		return nil, fmt.Errorf("stubs: %w", err)
	}
	if back == b.codeBegin+uint64(p.Pos) {
		name = "StubRoutines::call_stub"
	}
	return []Frame{{Kind: "stub", Function: name}}, nil
}
