#include "stress.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define SEGMENTS 8
#define SEGMENT_PAGES 16

static int segment[SEGMENTS];
static unsigned long shared; /* for remap_file_pages, which wants a shared file */

/* Segments outlive their makers, so ours are marked for removal at once: they
 * go with their last attachment, and one attachment of each stays for ever. */
void shm_init(void)
{
	for (int i = 0; i < SEGMENTS; i++) {
		segment[i] = shmget(IPC_PRIVATE, (size_t)(1 + i * 2 % SEGMENT_PAGES) * page, 0600);
		if (segment[i] < 0 || shmat(segment[i], NULL, 0) == (void *)-1)
			note("no shared memory: shmat fails");
		shmctl(segment[i], IPC_RMID, NULL);
	}
	shared = (unsigned long)sys6(SYS_mmap, 0, (long)(SEGMENT_PAGES * page),
				     PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
}

static long at(struct worker *w, unsigned long addr, int flags)
{
	w->calls++;
	return sys3(SYS_shmat, segment[below(w, SEGMENTS)], addr, flags);
}

void shm_op(struct worker *w)
{
	unsigned long addr, pages;
	long r;

	pick(w, &addr, &pages);
	switch (below(w, 14)) {
	case 0:
	case 1: /* over whatever is there */
		at(w, addr, SHM_REMAP | (below(w, 4) ? 0 : SHM_RDONLY));
		break;
	case 2: /* refused when anything is there */
		at(w, addr, 0);
		break;
	case 3: /* rounded down */
		at(w, addr + below(w, page), SHM_RND | SHM_REMAP);
		break;
	case 4:
		r = at(w, 0, 0);
		if (!is_err(r)) {
			w->calls++;
			sys1(SYS_shmdt, r);
		}
		break;
	case 5: /* refused: a bad address */
		at(w, addr + 1, 0);
		break;
	case 6:
	case 7:
	case 8: /* takes every piece of the segment that began here, wherever it was cut */
		w->calls++;
		sys1(SYS_shmdt, addr);
		break;
	case 9:
		c_munmap(w, addr, pages * page);
		break;
	case 10:
	case 11:
		c_mmap(w, addr, pages * page, any_prot(w), MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		       -1, 0);
		break;
	case 12:
		c_mprotect(w, addr, pages * page,
			   below(w, 2) ? PROT_READ : PROT_NONE, false);
		break;
	default:
		w->calls++;
		if (below(w, 2))
			sys5(SYS_remap_file_pages, shared + below(w, SEGMENT_PAGES / 2) * page,
			     (1 + below(w, SEGMENT_PAGES / 2)) * page, 0, below(w, SEGMENT_PAGES),
			     0);
		else /* refused: private */
			sys5(SYS_remap_file_pages, addr, pages * page, 0, 0, 0);
	}
}
