#include "stress.h"
#include <sys/mman.h>

/* All threads at once, unsynchronised, in one small arena: only the kernel
 * knows the order. The results stay within the arena. */
void racy_op(struct worker *w)
{
	unsigned long at = below(w, RACY_PAGES), n = 1 + below(w, RACY_PAGES - at);
	unsigned long addr = RACY_BASE + at * page, len = n * page, off, to;
	int fd, kind;
	long r;

	if (below(w, 4)) { /* short ranges meet one another less often, but in more ways */
		n = 1 + below(w, n < 8 ? n : 8);
		len = n * page;
	}
	switch (below(w, 12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		kind = any_kind(w, &fd, &off);
		c_mmap(w, addr, len, any_prot(w), kind | MAP_FIXED, fd, off);
		break;
	case 4:
		kind = any_kind(w, &fd, &off);
		c_mmap(w, addr, len, any_prot(w), kind | 0x100000 /* MAP_FIXED_NOREPLACE */, fd,
		       off);
		break;
	case 5:
	case 6:
		c_munmap(w, addr, len);
		break;
	case 7:
	case 8:
		c_mprotect(w, addr, len, any_prot(w), below(w, 4) == 0);
		break;
	case 9:
		heap_op(w, true);
		break;
	case 10:
		to = RACY_BASE + below(w, RACY_PAGES - n + 1) * page;
		c_mremap(w, addr, len, len,
			 MREMAP_MAYMOVE | MREMAP_FIXED | (below(w, 6) ? 0 : 4 /* DONTUNMAP */), to);
		break;
	default:
		to = (1 + below(w, RACY_PAGES - at)) * page;
		r = c_mremap(w, addr, len, to, below(w, 2) ? MREMAP_MAYMOVE : 0, 0);
		if (!is_err(r) && (unsigned long)r - RACY_BASE >= RACY_PAGES * page)
			c_munmap(w, (unsigned long)r, to);
	}
}
