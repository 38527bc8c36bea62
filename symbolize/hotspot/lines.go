package hotspot

import "errors"

// maxLines bounds the compressed line table of a method.
const maxLines = 64 << 10

var errLines = errors.New("line table without end")

// lineAt looks up the line of a bytecode index in a compressed line table: the line of the last entry at or before it.
// Entries need not be in order. 0: the table does not say.
//
// An entry is a byte of two differences to the entry before, 5 bits of bytecode index and 3 of line; or 0xff and the two
// as signed numbers; a zero ends the table.
func lineAt(table []byte, excess byte, bci uint32) (int, error) {
	u := unsigned5{p: table, excess: excess}
	var at, line, bestAt, best int64
	for len(u.p) > 0 {
		b := u.p[0]
		u.p = u.p[1:]
		switch b {
		case 0:
			return int(best), nil
		case 0xff:
			da, err := u.signed()
			if err != nil {
				return 0, err
			}
			dl, err := u.signed()
			if err != nil {
				return 0, err
			}
			at, line = at+int64(da), line+int64(dl)
		default:
			at, line = at+int64(b>>3), line+int64(b&7)
		}
		if at < 0 || at > maxCode || line < 0 || line > maxCode {
			return 0, errors.New("line table out of range")
		}
		if at <= int64(bci) && (at >= bestAt || best == 0) {
			bestAt, best = at, line
		}
	}
	return 0, errLines
}
