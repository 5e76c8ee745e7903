// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the frequency of this machine's time stamp counter in kHz. Under emulation the
 * guest sees that counter; its kernel cannot always measure it on a busy machine, and
 * would then keep a clock that loses time. scripts/vm.sh passes it to the kernel.
 */
#include <stdio.h>
#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

struct point {
	uint64_t ticks;
	uint64_t ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Both clocks at the same moment: the pair of many that took the shortest time. */
static struct point sample(void)
{
	struct point best = { 0, 0 };
	uint64_t shortest = UINT64_MAX;
	int i;

	for (i = 0; i < 1000; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before < shortest) {
			shortest = after - before;
			best.ticks = before + shortest / 2;
			best.ns = ns;
		}
	}
	return best;
}

int main(void)
{
	struct timespec wait = { .tv_nsec = 200000000 };
	struct point start = sample(), end;

	nanosleep(&wait, NULL);
	end = sample();
	printf("%.0f\n", (end.ticks - start.ticks) * 1e6 / (end.ns - start.ns));
	return 0;
}
