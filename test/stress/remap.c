#include "stress.h"
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* In place: shrink over any areas, or grow within the block. */
static void resize(struct worker *w, unsigned long addr, unsigned long pages)
{
	unsigned long left = block_pages - (addr / page) % block_pages;
	unsigned long new = 1 + below(w, below(w, 2) ? pages : left);

	c_mremap(w, addr, pages * page, new * page, 0, 0);
}

/* To wherever the kernel likes: what it moves becomes a loose region. */
static void away(struct worker *w, unsigned long addr, unsigned long pages)
{
	unsigned long left = block_pages - (addr / page) % block_pages;
	unsigned long new = 1 + below(w, left);
	int flags = MREMAP_MAYMOVE;
	long r;

	if (loose_full(w))
		return;
	switch (below(w, 4)) {
	case 0:
		flags |= MREMAP_DONTUNMAP;
		new = pages;
		break;
	case 1:
		pages = 0; /* a second view of a shared area */
		break;
	}
	r = c_mremap(w, addr, pages * page, new * page, flags, 0);
	if (!is_err(r) && (unsigned long)r != addr)
		loose_keep(w, (unsigned long)r, new, false);
}

/* To a fixed place: of equal length from 6.17 on several areas, holes between them. */
static void fixed(struct worker *w, unsigned long addr, unsigned long pages)
{
	unsigned long to, room, new = pages;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	pick(w, &to, &room);
	room = block_pages - (to / page) % block_pages;
	if (pages > room)
		new = pages = room;
	switch (below(w, 6)) {
	case 0:
		flags |= MREMAP_DONTUNMAP;
		break;
	case 1:
		new = 1 + below(w, room);
		break;
	case 2:
		new = 1 + below(w, pages);
		break;
	case 3:
		if (below(w, 4) == 0)
			pages = 0;
		break;
	}
	c_mremap(w, addr, pages * page, new * page, flags, to);
}

void remap_op(struct worker *w)
{
	unsigned long addr, pages;

	pick(w, &addr, &pages);
	switch (below(w, 4)) {
	case 0:
		resize(w, addr, pages);
		break;
	case 1:
		away(w, addr, pages);
		break;
	default:
		fixed(w, addr, pages);
	}
}
