package hotspot

import (
	"errors"
)

var errUnsigned5 = errors.New("compressed number out of range, or cut off")

// unsigned5 decodes the VM's compressed numbers: up to five bytes, of which those below 192 end the number. Since JDK 20
// no byte is zero, so that all digits are larger by one.
type unsigned5 struct {
	p      []byte
	excess byte // 1 since 20
}

// next decodes a number and moves on.
func (u *unsigned5) next() (uint32, error) {
	const last = 192
	var sum uint64
	for i := range 5 {
		if i >= len(u.p) || u.p[i] < u.excess {
			return 0, errUnsigned5
		}
		sum += uint64(u.p[i]-u.excess) << (6 * i)
		if u.p[i] < last || i == 4 {
			u.p = u.p[i+1:]
			break
		}
	}
	if sum > 1<<32-1 {
		return 0, errUnsigned5
	}
	return uint32(sum), nil
}

// signed decodes a number whose lowest bit is its sign.
func (u *unsigned5) signed() (int32, error) {
	n, err := u.next()
	return int32(n>>1) ^ -int32(n&1), err
}
