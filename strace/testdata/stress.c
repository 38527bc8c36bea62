// SPDX-License-Identifier: Apache-2.0
// Changes its address space from several threads between two copies of
// /proc/self/maps: stress BEFORE AFTER THREADS CALLS SEED
// munmap(1, 4096), which fails, marks both copies in a log.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[4 << 20];
static int calls, file;
static unsigned seed;

static void copy_maps(const char *to)
{
	int in = open("/proc/self/maps", O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n, have = 0;

	while ((n = read(in, text + have, sizeof text - have)) > 0)
		have += n;
	if (write(out, text, have) != have)
		_exit(1);
	close(in);
	close(out);
	munmap((void *)1, 4096);
}

struct area {
	char *start;
	size_t length;
};

static void *worker(void *arg)
{
	unsigned rnd = seed + (unsigned)(uintptr_t)arg;
	struct area held[16] = {0};

	for (int i = 0; i < calls; i++) {
		struct area *a = &held[rand_r(&rnd) % 16];
		size_t pages = 1 + rand_r(&rnd) % 8;

		if (!a->start) {
			int prot = rand_r(&rnd) % 4 ? PROT_READ | PROT_WRITE : PROT_NONE;
			int shared = rand_r(&rnd) % 8 == 0;

			a->length = pages * 4096;
			a->start = mmap(NULL, a->length, prot, shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					shared ? file : -1, 0);
			continue;
		}
		switch (rand_r(&rnd) % 6) {
		case 0:
		case 1:
			munmap(a->start, a->length);
			a->start = NULL;
			break;
		case 2: { // a part
			size_t at = rand_r(&rnd) % (a->length / 4096) * 4096;

			munmap(a->start + at, a->length - at);
			a->length = at;
			if (!at)
				a->start = NULL;
			break;
		}
		case 3: {
			char *to = mremap(a->start, a->length, pages * 4096, MREMAP_MAYMOVE);

			if (to != MAP_FAILED)
				a->start = to, a->length = pages * 4096;
			break;
		}
		case 4:
			mprotect(a->start, a->length, rand_r(&rnd) % 3 ? PROT_READ | PROT_WRITE : PROT_NONE);
			break;
		case 5:
			mmap(a->start, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[16];
	int threads;

	if (argc != 6)
		return 2;
	threads = atoi(argv[3]);
	calls = atoi(argv[4]);
	seed = atoi(argv[5]);
	file = open("/proc/self/exe", O_RDONLY);
	sbrk(4096);
	copy_maps(argv[1]);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)(i * 7919));
	for (int i = 0; i < 5; i++)
		sbrk(i == 3 ? -40960 : 65536);
	int id = shmget(IPC_PRIVATE, 20000, IPC_CREAT | 0600);
	void *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
	shmctl(id, IPC_RMID, NULL);
	shmdt(a);
	(void)b;
	if (!fork()) { // its calls are not ours
		sbrk(1 << 20);
		mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(text, 4096);
		_exit(0);
	}
	wait(NULL);
	if (!vfork()) {
		mmap(NULL, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // its parent's too
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	copy_maps(argv[2]);
	_exit(0);
}
