// Package malloc proves that the blocks of malloc are followed exactly: programs whose threads race for blocks print
// which of them live, and the books must have just those, by size and thread.
package malloc
