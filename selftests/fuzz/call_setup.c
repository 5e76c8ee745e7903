// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls of a program before and after it uses a device: info, setup, eventfd, close; and
 * the commands on files that are no device.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void call_info(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct afsync_info info;
	struct arg arg;
	int first;
	long ret;

	rng_fill(&w->rng, &info, sizeof(info));
	arg_choose(w, &arg, sizeof(info), sizeof(info));
	arg.dirty = arg.dirty && arg.readable == arg.size;
	first = arg_errno(&arg, sizeof(info), false, true);
	if (ring->fd < 0)
		first = EBADF;
	w->note.ring = ring;
	ret = arg_ioctl(w, ring->fd, AFSYNC_IOC_INFO, &arg, &info, sizeof(info));
	expect(w, CMD_INFO, ret, first ? may_fail(ERRNO(first)) : may_return(0, 0));
	if (ret)
		return;
	if (memcmp(&info, &options.info, sizeof(info)))
		fail(w, "an info differs from the first");
	if (arg.size > sizeof(info) && arg.local[arg.size - 1])
		fail(w, "an info leaves a byte that it does not know as it was");
}

static __u32 draw_entries(struct world *w)
{
	static const __u32 usual[] = { 1, 2, 3, 4, 8, 8, 16, 33, 64, 64, 100, 128, 128, 1024 };
	unsigned int dice = below(w, 64);
	__u64 odd = rng_odd(&w->rng);

	if (dice == 0)
		return AFSYNC_MAX_ENTRIES;
	return dice < 8 ? odd : usual[dice % (sizeof(usual) / sizeof(*usual))];
}

/* Opens the device if it is closed, and sets it up if it is not set up, or once more. */
void call_setup(struct world *w)
{
	static const int flags[] = { O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	struct ring *ring = &w->rings[below(w, NR_RINGS)];
	struct afsync_setup setup = { .entries = draw_entries(w) };
	unsigned int dice = below(w, 32), flag = below(w, 31), how = below(w, 24);
	__u32 asked = setup.entries;
	struct arg arg;
	struct may may;
	int first;
	long ret;

	setup.mmap_size = rng_next(&w->rng);
	if (dice < 12)
		setup.flags = AFSYNC_SETUP_INLINE;
	if (dice == 12)
		setup.flags = 2U << flag;
	arg_choose(w, &arg, sizeof(setup), sizeof(setup));
	if (ring->fd < 0)
		ring_open_device(w, ring, how < 6 ? flags[how] : O_RDWR);
	if (dice == 31)
		return;
	first = arg_errno(&arg, sizeof(setup), true, true);
	may = may_fail(first ? ERRNO(first) :
		       model_setup(&setup, ring->is_set_up, options.info.max_entries));
	if (!may.errors)
		may = may_return(0, 0);
	w->note.ring = ring;
	ret = arg_ioctl(w, ring->fd, AFSYNC_IOC_SETUP, &arg, &setup, sizeof(setup));
	expect(w, CMD_SETUP, ret, may);
	if (ret)
		return;
	if (setup.entries < asked || setup.entries & (setup.entries - 1) ||
	    setup.entries >= 2 * asked || setup.mmap_size % 4096 ||
	    setup.mmap_size < sizeof(struct afsync_ring_header) +
	    setup.entries * sizeof(struct afsync_cqe))
		fail(w, "a setup of %u entries gave %u and %llu bytes", asked, setup.entries,
		     (unsigned long long)setup.mmap_size);
	ring->entries = setup.entries;
	ring->size = setup.mmap_size;
	ring->is_set_up = true;
	/* Without a mapping the id is unknown; 0 is not one. */
	ring->id = 0;
	if (ring->can_map)
		ring_map(w, ring);
}

void call_close(struct world *w)
{
	struct ring *ring = &w->rings[below(w, NR_RINGS)];

	w->note.ring = ring;
	ring_close(w, ring);
}

static const struct file *draw_eventfd(struct world *w, int *fd)
{
	static const struct file eventfd = { .eventfd = true };
	unsigned int dice = below(w, 8), which = below(w, NR_EVENTFDS);
	const struct file *file = files_pick(w, fd);

	if (dice >= 5)
		return file;
	*fd = dice < 3 ? w->eventfds[which] : -1;
	return dice < 3 ? &eventfd : NULL;
}

void call_eventfd(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct afsync_eventfd args = { .ring = ring_name(w, ring) };
	unsigned int dice = below(w, 64), bit = below(w, 32);
	const struct file *file = draw_eventfd(w, &args.fd);
	struct may may = may_return(0, 0);
	struct arg arg;
	errnos wrong;
	int first;
	long ret;

	arg_choose(w, &arg, sizeof(args), 8);
	if (dice == 0)
		args.flags = 1U << bit;
	if (arg.size < sizeof(args))
		args.ring &= (1ULL << (arg.size > 8 ? arg.size - 8 : 0) * 8) - 1;
	first = arg_errno(&arg, 8, true, false);
	wrong = ring->fd < 0 ? ERRNO(EBADF) : first ? ERRNO(first) :
		!ring->is_set_up ? ERRNO(ENXIO) : model_eventfd(ring, &args, file);
	if (ring->trust != RING_OWN && ring->fd >= 0 && !first && ring->is_set_up) {
		/* Other threads register, too. */
		may.errors = ERRNO(EBUSY) | ERRNO(ENXIO) | wrong;
	} else if (wrong) {
		may = may_fail(wrong);
	}
	w->note.ring = ring;
	ret = arg_ioctl(w, ring->fd, AFSYNC_IOC_EVENTFD, &arg, &args, sizeof(args));
	expect(w, CMD_EVENTFD, ret, may);
	if (!ret)
		ring->has_eventfd = args.fd != -1;
}

/* A file that is not a ring supports none of the commands. */
void call_foreign(struct world *w)
{
	static const unsigned int cmds[] = {
		AFSYNC_IOC_INFO, AFSYNC_IOC_SETUP, AFSYNC_IOC_SUBMIT, AFSYNC_IOC_WAIT,
		AFSYNC_IOC_CANCEL, AFSYNC_IOC_EVENTFD, AFSYNC_IOC_START,
	};
	unsigned int cmd = cmds[below(w, sizeof(cmds) / sizeof(*cmds))];
	static const errnos no = ERRNO(ENOTTY) | ERRNO(EINVAL) | ERRNO(EBADF) | ERRNO(ENOSYS);
	char bytes[64] = {};
	int fd;

	if (files_pick(w, &fd) && fcntl(fd, F_GETFL) >= 0)
		w->note.cmd = cmd;
	/* One of the files may be a device without a ring: only the info has no effect there. */
	expect(w, CMD_FOREIGN, ioctl(fd, cmd, bytes) < 0 ? -errno : 0,
	       (struct may) { 0, 0, no | documented });
}
