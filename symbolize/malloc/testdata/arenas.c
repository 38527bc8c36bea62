// Frees known blocks in known arenas, says what malloc itself holds of them, and trims on request.
// usage: arenas THREADS BLOCKS LEAST MOST KEEP
// Each thread, and the main one, takes BLOCKS blocks of LEAST to MOST bytes, writes all of them, and frees all but each KEEP-th
// (0: all). Then malloc_info(3) is printed. Each line on standard input has it trim and print again.
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long blocks, least, most, keep;
static pthread_barrier_t done;

static void work(unsigned long seed) {
	char **b = malloc(blocks * sizeof *b);
	for (long i = 0; i < blocks; i++) {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		size_t n = least + (seed >> 33) % (most - least + 1);
		b[i] = malloc(n);
		memset(b[i], 0x5a, n);
	}
	for (long i = 0; i < blocks; i++)
		if (keep == 0 || i % keep)
			free(b[i]);
}

static void *thread(void *arg) {
	work((unsigned long)arg);
	pthread_barrier_wait(&done);
	pthread_barrier_wait(&done); // never comes
	return arg;
}

int main(int argc, char **argv) {
	static char out[1 << 16], in[64];
	if (argc != 6)
		return 2;
	setvbuf(stdout, out, _IOFBF, sizeof out);
	setvbuf(stdin, in, _IOFBF, sizeof in);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	long threads = atol(argv[1]);
	blocks = atol(argv[2]), least = atol(argv[3]), most = atol(argv[4]), keep = atol(argv[5]);
	pthread_barrier_init(&done, NULL, threads + 1);
	for (long i = 0; i < threads; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, thread, (void *)(i + 1)))
			return 1;
	}
	work(0);
	pthread_barrier_wait(&done);
	char line[16];
	do {
		malloc_info(0, stdout);
		puts("end");
		fflush(stdout);
	} while (fgets(line, sizeof line, stdin) && (malloc_trim(0), 1));
	return 0;
}
