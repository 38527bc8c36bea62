/* Threads that race for blocks of malloc, hand them to each other, and leave a known set alive.
 * racers SEED THREADS CALLS LEAST: waits for a line, works, prints the live blocks of LEAST bytes and more
 * ("block PID SIZE TID", then "sum N BYTES FAILED"), and waits for another line. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 512

/* A shared place for a block: who swaps it out owns it. */
struct block {
	void *at;
	size_t size;
	int tid;
};
static struct block *_Atomic slots[SLOTS];
static size_t least;
static long calls, failed;

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Mostly around the least size, now and then large enough for a mapping of its own. */
static size_t some(uint64_t *s)
{
	uint64_t r = next(s);

	switch (r % 16) {
	case 0:
		return least;
	case 1:
		return least - 1;
	case 2:
		return (r >> 8) % (2 << 20) + 1;
	case 3:
	case 4:
	case 5:
		return (r >> 8) % 256 + 1;
	}
	return (r >> 8) % (4 * least) + 1;
}

static void *give(uint64_t *s, size_t size)
{
	void *p = NULL;

	switch (next(s) % 7) {
	case 0:
		return calloc(1, size);
	case 1:
		return realloc(NULL, size);
	case 2:
		return posix_memalign(&p, 64, size) ? NULL : p;
	case 3:
		return aligned_alloc(4096, size);
	case 4:
		return memalign(256, size);
	case 5:
		return reallocarray(NULL, 1, size);
	}
	return malloc(size);
}

/* Calls that are refused leave everything as it was. */
static void refuse(uint64_t *s, struct block *b)
{
	volatile size_t huge = SIZE_MAX / 4;
	void *p = (void *)1;

	switch (next(s) % 5) {
	case 0:
		p = malloc(huge);
		break;
	case 1:
		p = calloc(huge, 16);
		break;
	case 2:
		p = realloc(b->at, huge);
		break;
	case 3:
		p = reallocarray(b->at, huge, 16);
		break;
	case 4:
		if (posix_memalign(&p, 64, huge))
			p = NULL;
	}
	if (p)
		abort();
	__atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	uint64_t s = (uintptr_t)arg * 0x9e3779b97f4a7c15 | 1;
	int tid = syscall(SYS_gettid);

	for (long n = 0; n < calls; n++) {
		struct block *b = atomic_exchange_explicit(&slots[next(&s) % SLOTS], NULL, memory_order_acq_rel), *old;

		if (!b) {
			b = malloc(sizeof(*b));
			b->size = some(&s);
			b->at = give(&s, b->size);
			b->tid = tid;
			if (!b->at)
				abort();
		} else if (next(&s) % 3 == 0) {
			size_t size = some(&s);
			void *p = next(&s) % 2 ? realloc(b->at, size) : reallocarray(b->at, 1, size);

			if (!p)
				abort();
			b->at = p;
			b->size = size;
			b->tid = tid;
		} else if (next(&s) % 64 == 0) {
			refuse(&s, b);
		} else {
			if (next(&s) % 8 == 0) {
				void *p = realloc(b->at, 0); /* glibc frees; musl gives a small block */
				free(p);
			} else {
				free(b->at);
			}
			free(b);
			continue;
		}
		old = atomic_exchange_explicit(&slots[next(&s) % SLOTS], b, memory_order_acq_rel);
		if (old) {
			free(old->at);
			free(old);
		}
	}
	return NULL;
}

static void await(void)
{
	char line[16];

	fflush(stdout);
	if (read(0, line, sizeof(line)) <= 0)
		exit(0);
}

int main(int argc, char **argv)
{
	long seed = atol(argv[1]), threads = atol(argv[2]), n = 0, bytes = 0;

	(void)argc;
	calls = atol(argv[3]);
	least = atol(argv[4]);
	setvbuf(stdout, NULL, _IOFBF, 512);
	printf("ready\n");
	await();
	/* In waves: threads that begin and end, too. */
	for (int wave = 0; wave < 4; wave++) {
		pthread_t ids[64];

		for (long i = 0; i < threads; i++)
			pthread_create(&ids[i], NULL, work, (void *)(seed * 1000 + wave * 100 + i + 1));
		for (long i = 0; i < threads; i++)
			pthread_join(ids[i], NULL);
	}
	for (int i = 0; i < SLOTS; i++)
		if (slots[i] && slots[i]->size >= least) {
			printf("block %d %zu %d\n", getpid(), slots[i]->size, slots[i]->tid);
			n++;
			bytes += slots[i]->size;
		}
	printf("sum %ld %ld %ld\n", n, bytes, failed);
	await();
	return 0;
}
