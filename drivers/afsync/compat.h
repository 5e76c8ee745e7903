/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All differences between kernels are here. Each shim says which kernels need
 * it and when it can go. Kbuild probes the kernel's headers and sets the macros.
 */
#ifndef _AFSYNC_COMPAT_H
#define _AFSYNC_COMPAT_H

#include <linux/cgroup.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/version.h>

/*
 * eventfd_signal() takes the number to add up to 6.7 and always adds one since 6.8.
 * Delete when 6.1 is no longer built for.
 */
#ifdef AFSYNC_EVENTFD_SIGNAL_COUNT
static inline void afsync_eventfd_signal(struct eventfd_ctx *eventfd)
{
	eventfd_signal(eventfd, 1);
}
#else
static inline void afsync_eventfd_signal(struct eventfd_ctx *eventfd)
{
	eventfd_signal(eventfd);
}
#endif

/*
 * Files of the device take negative offsets, see AFSYNC_ATTACH_OFFSET: a flag of the open
 * file up to 6.11, of the operations since. Delete the former when 6.1 is no longer built
 * for.
 */
#ifdef FOP_UNSIGNED_OFFSET
#define AFSYNC_FOP_FLAGS	.fop_flags = FOP_UNSIGNED_OFFSET,
static inline void afsync_unsigned_offset(struct file *file)
{
}
#else
#define AFSYNC_FOP_FLAGS
static inline void afsync_unsigned_offset(struct file *file)
{
	file->f_mode |= FMODE_UNSIGNED_OFFSET;
}
#endif

/*
 * Drops a reference to a file, and carries out all consequences before it returns. Up to 6.5
 * only a kernel thread can do so with the last reference: then it returns false, and
 * the caller keeps the reference. Delete when 6.1 is no longer built for.
 */
static inline bool afsync_fput_now(struct file *file)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	if (!(current->flags & PF_KTHREAD))
		return atomic_long_add_unless(&file->f_count, -1, 1);
#endif
	__fput_sync(file);
	return true;
}

/*
 * The flags of a mapping are set by a function since 6.3. Delete when 6.1 is no longer built
 * for.
 */
static inline void afsync_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	vma->vm_flags |= flags;
#else
	vm_flags_set(vma, flags);
#endif
}

/* The I/O cgroup of the current thread, with a reference; NULL if the kernel has none. */
static inline struct cgroup_subsys_state *afsync_blkcg_get(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

static inline struct cgroup_subsys_state *afsync_blkcg_again(struct cgroup_subsys_state *blkcg)
{
	if (blkcg)
		css_get(blkcg);
	return blkcg;
}

static inline void afsync_blkcg_put(struct cgroup_subsys_state *blkcg)
{
	if (blkcg)
		css_put(blkcg);
}

/*
 * Kernels before 6.1.80 do not show whether a kiocb belongs to kernel AIO; there none can be
 * attached. Delete when no one runs those any more.
 */
#ifndef IOCB_AIO_RW
#define IOCB_AIO_RW	0
#endif

/* Up to 6.0 only the mapping shows whether a file does direct I/O. */
static inline bool afsync_can_odirect(const struct file *file)
{
#ifdef FMODE_CAN_ODIRECT
	return file->f_mode & FMODE_CAN_ODIRECT;
#else
	return file->f_mapping->a_ops->direct_IO;
#endif
}

/*
 * Up to 5.15. Delete, with the above, when 5.10 is no longer built for.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
#define FUSE_SUPER_MAGIC	0x65735546
#define IOPRIO_NR_LEVELS	IOPRIO_BE_NR
#define IOPRIO_BE_NORM		IOPRIO_NORM
#define IOPRIO_DEFAULT		0
#define afsync_kiocb_complete(kiocb, res)	((kiocb)->ki_complete(kiocb, res, 0))
#else
#define afsync_kiocb_complete(kiocb, res)	((kiocb)->ki_complete(kiocb, res))
#endif

#endif /* _AFSYNC_COMPAT_H */
