package hotspot

import (
	"errors"
	"fmt"
)

// pool is a ConstantPool: a header, then a word for each entry. The tags say what an entry is.
type pool struct {
	vm        *VM
	addr      uint64
	length    uint32
	tags      uint64
	holder    uint64 // the class
	fileIndex uint32
}

func (vm *VM) openPool(addr uint64) (*pool, error) {
	l := &vm.methodLayout
	if addr%8 != 0 {
		return nil, errors.New("constant pool: the pointer is not aligned")
	}
	p, err := vm.bytes(addr, int(l.poolSize)+spare)
	if err != nil {
		return nil, fmt.Errorf("constant pool: %w", err)
	}
	c := &pool{vm: vm, addr: addr, length: le32(p[l.length:]), tags: le64(p[l.tags:]), holder: le64(p[l.holder:])}
	if c.length > maxPool || c.holder%8 != 0 {
		return nil, fmt.Errorf("constant pool: %d entries, class at %#x", c.length, c.holder)
	}
	n, err := vm.u32(c.tags + l.tagsLength)
	if err != nil {
		return nil, fmt.Errorf("constant pool: %w", err)
	}
	if n != c.length {
		return nil, fmt.Errorf("constant pool: %d entries with %d tags", c.length, n)
	}
	if l.fileInPool {
		c.fileIndex = uint32(le16(p[l.file:]))
		return c, nil
	}
	index, err := vm.u16(c.holder + l.file)
	c.fileIndex = uint32(index)
	return c, err
}

// utf8 returns the string at index.
func (c *pool) utf8(index uint32) (string, error) {
	if index == 0 || index >= c.length {
		return "", fmt.Errorf("constant pool: entry %d of %d", index, c.length)
	}
	tag, err := c.vm.u8(c.tags + c.vm.methodLayout.tagsData + uint64(index))
	if err != nil {
		return "", fmt.Errorf("constant pool: %w", err)
	}
	if tag != tagUtf8 {
		return "", fmt.Errorf("constant pool: entry %d is no string but %d", index, tag)
	}
	at, err := c.vm.u64(c.addr + c.vm.methodLayout.poolSize + 8*uint64(index))
	if err != nil {
		return "", fmt.Errorf("constant pool: %w", err)
	}
	return c.vm.symbol(at)
}

// file returns the name of the source file, empty if there is none. The VM makes pools of three entries for the methods
// that link method handles, with the index that is right in their class's own pool.
func (c *pool) file() (string, error) {
	if c.fileIndex == 0 || c.fileIndex >= c.length {
		return "", nil
	}
	return c.utf8(c.fileIndex)
}

// belongs makes sure that pool and class are one another's: of memory that was freed, one may be another class's by now. The
// class leads back to the pool, unless it was redefined; but also then its name is in the pool. Methods that link method
// handles have small pools of their own.
func (c *pool) belongs(class string) error {
	l := &c.vm.methodLayout
	own, err := c.vm.u64(c.holder + l.klassPool)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	if own == c.addr || class == "java.lang.invoke.MethodHandle" && c.length <= maxLinker {
		return nil
	}
	name, err := c.vm.u64(c.holder + l.klassName)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	slots, err := c.vm.bytes(c.addr+l.poolSize, 8*int(c.length))
	if err != nil {
		return fmt.Errorf("constant pool: %w", err)
	}
	for ; len(slots) > 0; slots = slots[8:] {
		if le64(slots) == name {
			return nil
		}
	}
	return errors.New("the constant pool is not the class's")
}

// maxLinker is more entries than the pool of a method that links method handles has.
const maxLinker = 4
