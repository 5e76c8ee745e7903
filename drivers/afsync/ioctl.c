// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands: a table of their structs, one place that copies them in and out, and
 * a short function for each. No lock is held here. afsync_submit() alone touches user
 * memory beyond the struct.
 */
#include <linux/eventfd.h>
#include <linux/uaccess.h>

#include "afsync.h"

union afsync_args {
	struct afsync_info info;
	struct afsync_setup setup;
	struct afsync_submit submit;
	struct afsync_wait wait;
	struct afsync_cancel cancel;
	struct afsync_eventfd eventfd;
	struct afsync_start start;
};

/* One call: the struct of the command, and work that waits until the struct is written back. */
struct afsync_call {
	union afsync_args args;
	struct afsync_ring *new_ring;
};

/*
 * The contract, pinned: no holes, the same for 32-bit programs. For a struct that has grown
 * since the first version, the table of commands has the size of that version.
 */
static_assert(sizeof(struct afsync_sqe) == 40);
static_assert(sizeof(struct afsync_cqe) == 16);
static_assert(sizeof(struct afsync_ring_header) == 128);
static_assert(offsetof(struct afsync_ring_header, tail) == 64);
static_assert(sizeof(struct afsync_info) == 32);
static_assert(sizeof(struct afsync_setup) == 16);
static_assert(sizeof(struct afsync_submit) == 56);
static_assert(sizeof(struct afsync_wait) == 32);
static_assert(sizeof(struct afsync_cancel) == 24);
static_assert(sizeof(struct afsync_eventfd) == 12);
static_assert(sizeof(struct afsync_start) == 24);
static_assert(sizeof(struct afsync_attach) == 16);

static long ioctl_info(struct file *file, struct afsync_call *call)
{
	call->args.info = (struct afsync_info) {
		.version		= AFSYNC_VERSION,
		.ops			= AFSYNC_OPS_MASK,
		.sqe_flags		= AFSYNC_SQE_MASK,
		.wait_flags		= AFSYNC_WAIT_MASK,
		.cancel_match		= AFSYNC_CANCEL_MASK,
		.max_entries		= READ_ONCE(afsync_max_entries),
		.max_user_requests	= READ_ONCE(afsync_max_user_requests),
		.workers_per_fs		= afsync_workers_per_fs,
	};
	return 0;
}

static long ioctl_setup(struct file *file, struct afsync_call *call)
{
	struct afsync_setup *setup = &call->args.setup;
	struct afsync_ring *ring;

	if (setup->flags & ~AFSYNC_SETUP_MASK)
		return -EINVAL;
	if (!setup->entries || setup->entries > READ_ONCE(afsync_max_entries))
		return -EINVAL;
	if (afsync_file_ring(file))
		return -EBUSY;

	ring = afsync_ring_create(setup->entries, setup->flags);
	if (IS_ERR(ring))
		return PTR_ERR(ring);

	setup->entries = ring->entries;
	setup->mmap_size = ring->size;
	call->new_ring = ring;
	return 0;
}

/*
 * Publishes a ring if the program has got its size (@known), else frees it. Of two threads that
 * set up at once, one wins, and the other's ring was never visible. Pairs with afsync_file_ring().
 */
static long publish(struct file *file, struct afsync_ring *ring, bool known)
{
	long ret = -EFAULT;

	if (known && !cmpxchg_release(&file->private_data, NULL, ring))
		return 0;
	if (known)
		ret = -EBUSY;
	afsync_ring_put(ring, 1);
	return ret;
}

static long ioctl_submit(struct file *file, struct afsync_call *call)
{
	struct afsync_ring *ring = afsync_file_ring(file);

	return ring ? afsync_submit(ring, &call->args.submit) : -ENXIO;
}

static long ioctl_wait(struct file *file, struct afsync_call *call)
{
	struct afsync_ring *ring = afsync_file_ring(file);
	int ret;

	if (!ring)
		return -ENXIO;
	ret = afsync_wait_check(ring, &call->args.wait);
	return ret ?: afsync_wait(ring, &call->args.wait);
}

static long ioctl_cancel(struct file *file, struct afsync_call *call)
{
	struct afsync_ring *ring = afsync_file_ring(file);

	return ring ? afsync_cancel(ring, &call->args.cancel) : -ENXIO;
}

static long ioctl_eventfd(struct file *file, struct afsync_call *call)
{
	struct afsync_ring *ring = afsync_file_ring(file);

	if (!ring)
		return -ENXIO;
	if (call->args.eventfd.flags)
		return -EINVAL;
	if (!afsync_is_ring(ring, call->args.eventfd.ring))
		return -ESTALE;
	return afsync_ring_eventfd(ring, call->args.eventfd.fd);
}

static long ioctl_start(struct file *file, struct afsync_call *call)
{
	struct afsync_ring *ring = afsync_file_ring(file);

	return ring ? afsync_start(ring, &call->args.start) : -ENXIO;
}

/* @min: bytes of the first version of the struct, below which it is refused */
struct afsync_command {
	unsigned int cmd;
	unsigned int min;
	long (*handle)(struct file *file, struct afsync_call *call);
};

static const struct afsync_command commands[] = {
	{ AFSYNC_IOC_INFO,	32, ioctl_info },
	{ AFSYNC_IOC_SETUP,	16, ioctl_setup },
	{ AFSYNC_IOC_SUBMIT,	56, ioctl_submit },
	{ AFSYNC_IOC_WAIT,	24, ioctl_wait },
	{ AFSYNC_IOC_CANCEL,	24, ioctl_cancel },
	{ AFSYNC_IOC_EVENTFD,	8, ioctl_eventfd },
	{ AFSYNC_IOC_START,	16, ioctl_start },
};

/* All bits of a command except its size identify it: that is how its struct may grow. */
static const struct afsync_command *find_command(unsigned int cmd)
{
	unsigned int mask = ~(_IOC_SIZEMASK << _IOC_SIZESHIFT);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if ((commands[i].cmd & mask) == (cmd & mask))
			return &commands[i];
	return NULL;
}

/*
 * The part of a longer struct that this kernel does not have is 0, in both directions. The part
 * that a shorter one does not have is not written.
 */
static bool write_back(void __user *uargs, size_t usize, const union afsync_args *args,
		       size_t size)
{
	if (copy_to_user(uargs, args, min(usize, size)))
		return false;
	return usize <= size || !clear_user(uargs + size, usize - size);
}

long afsync_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct afsync_command *command = find_command(cmd);
	void __user *uargs = (void __user *)arg;
	size_t usize = _IOC_SIZE(cmd);
	struct afsync_call call = {};
	bool written = true;
	size_t size;
	long ret;

	if (!command)
		return -ENOTTY;
	size = _IOC_SIZE(command->cmd);
	if (usize < command->min)
		return -EINVAL;

	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		ret = copy_struct_from_user(&call.args, size, uargs, usize);
		if (ret)
			return ret;
	}

	/* A struct that cannot be written makes the command fail before it has any effect. */
	if (_IOC_DIR(cmd) & _IOC_READ && !write_back(uargs, usize, &call.args, size))
		return -EFAULT;

	ret = command->handle(file, &call);

	/*
	 * Written back after errors too: they have fields of their own. The number of queued
	 * or cancelled requests is returned even if the struct was unmapped meanwhile.
	 */
	if (_IOC_DIR(cmd) & _IOC_READ)
		written = write_back(uargs, usize, &call.args, size);
	if (call.new_ring)
		return publish(file, call.new_ring, written);
	return written || ret > 0 ? ret : -EFAULT;
}
