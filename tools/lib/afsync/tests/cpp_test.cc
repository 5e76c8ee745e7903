// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
// The public header first, alone, as strict C++11; the library links and its loop
// macro works from C++. With the device, also a sync from beginning to end.
#include <libafsync.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

extern "C" int afsync_ring_alloc(int fd, struct afsync_ring_header *hdr,
				 size_t map_size, struct afsync_ring **ringp);
extern "C" void afsync_ring_free(struct afsync_ring *ring);

namespace {

constexpr unsigned int entries = 4;

struct fake_ring {
	afsync_ring_header hdr;
	afsync_cqe cqes[entries];
};

int failed;

void claim(int nr, bool ok, const char *name)
{
	std::printf("%sok %d %s\n", ok ? "" : "not ", nr, name);
	failed += !ok;
}

// Two files, one loop over their completions.
bool sync_two_files()
{
	char name[] = "/tmp/afsync-cpp-XXXXXX";
	int fd = mkstemp(name);
	afsync_ring *ring;
	afsync_cqe *cqe;
	unsigned int head, n = 0;
	bool good = true;

	if (fd < 0 || afsync_queue_init(2, &ring, 0))
		return false;
	unlink(name);
	for (uint64_t i = 0; i < 2; i++) {
		afsync_sqe *sqe = afsync_get_sqe(ring);
		afsync_prep_fdatasync(sqe, fd);
		afsync_sqe_set_data64(sqe, i);
	}
	good &= afsync_submit_and_wait(ring, 2) == 2;
	afsync_for_each_cqe(ring, head, cqe)
		good &= cqe->res == 0 && cqe->user_data == n++;
	afsync_cq_advance(ring, n);
	good &= n == 2 && afsync_cq_ready(ring) == 0;
	afsync_queue_exit(ring);
	close(fd);
	return good;
}

} // namespace

int main()
{
	fake_ring fake;
	afsync_ring *ring = nullptr;

	std::memset(&fake, 0, sizeof(fake));
	fake.hdr.entries = entries;
	fake.hdr.mask = entries - 1;
	fake.hdr.cqes_offset = sizeof(fake.hdr);
	fake.hdr.head = fake.hdr.tail = UINT32_MAX - 1;

	std::printf("TAP version 13\n1..4\n");
	claim(1, afsync_ring_alloc(-1, &fake.hdr, 0, &ring) == 0 &&
	      afsync_ring_entries(ring) == entries, "library_links_from_cpp");
	if (!ring)
		return 1;

	afsync_sqe *sqe = afsync_get_sqe(ring);
	afsync_prep_fsync_range(sqe, 3, 1, 2);
	afsync_sqe_set_data(sqe, &fake);
	claim(2, sqe->fd == 3 && afsync_sq_ready(ring) == 1 &&
	      sqe->user_data == reinterpret_cast<uintptr_t>(&fake),
	      "requests_are_prepared_from_cpp");

	for (unsigned int i = 0; i < entries; i++)
		fake.cqes[fake.hdr.tail++ & (entries - 1)].user_data = i;
	unsigned int head, n = 0;
	bool in_order = true;
	afsync_cqe *cqe;
	afsync_for_each_cqe(ring, head, cqe)
		in_order &= afsync_cqe_get_data64(cqe) == n++;
	afsync_cq_advance(ring, n);
	claim(3, in_order && n == entries && afsync_cq_ready(ring) == 0,
	      "for_each_visits_all_from_cpp");

	if (access("/dev/afsync", F_OK) == 0)
		claim(4, sync_two_files(), "files_are_synced_from_cpp");
	else
		std::printf("ok 4 files_are_synced_from_cpp # SKIP no device\n");

	afsync_ring_free(ring);
	return failed != 0;
}
