// Frees known blocks in known arenas, says what malloc itself holds of them, and trims on request.
// usage: arenas THREADS BLOCKS LEAST MOST KEEP
// Each thread, and the main one, takes BLOCKS blocks of LEAST to MOST bytes, writes all of them, and frees all but each KEEP-th
// (0: all; -1: the threads free and take one block after the other for ever; -2: some 10,000 a second). Then malloc_info(3) is printed. Each line on standard input has it trim and print again.
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long blocks, least, most, keep;
static pthread_barrier_t done;

static size_t size(unsigned long *seed) {
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return least + (*seed >> 33) % (most - least + 1);
}

static void busy(char **b, unsigned long seed) {
	pthread_barrier_wait(&done);
	for (;;) {
		size_t n = size(&seed);
		long i = n * 31 % blocks;
		free(b[i]);
		b[i] = malloc(n);
		b[i][0] = 1;
		if (keep == -2)
			usleep(50);
	}
}

static void work(unsigned long seed, int is_main) {
	char **b = malloc(blocks * sizeof *b);
	for (long i = 0; i < blocks; i++) {
		size_t n = size(&seed);
		b[i] = malloc(n);
		memset(b[i], 0x5a, n);
	}
	if (keep < 0 && !is_main)
		busy(b, seed);
	for (long i = 0; i < blocks; i++)
		if (keep == 0 || i % keep)
			free(b[i]);
}

static void *thread(void *arg) {
	work((unsigned long)arg, 0);
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
	work(0, 1);
	pthread_barrier_wait(&done);
	char line[16];
	do {
		malloc_info(0, stdout);
		puts("end");
		fflush(stdout);
	} while (fgets(line, sizeof line, stdin) && (malloc_trim(0), 1));
	return 0;
}
