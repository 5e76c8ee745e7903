/* SPDX-License-Identifier: GPL-2.0-only */
/* The only file of afsync_sim that contains differences between kernels. */
#ifndef _SIM_COMPAT_H
#define _SIM_COMPAT_H

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/version.h>

/*
 * Old kernels do not export the address space operations of ramfs. Delete when 5.10 is no
 * longer supported.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 18, 0)
static int sim_set_page_dirty(struct page *page)
{
	return !TestSetPageDirty(page);
}

static const struct address_space_operations ram_aops = {
	.readpage	= simple_readpage,
	.write_begin	= simple_write_begin,
	.write_end	= simple_write_end,
	.set_page_dirty	= sim_set_page_dirty,
};
#endif

/* Since 6.0. Delete with the above. */
#ifndef TAINT_TEST
#define TAINT_TEST	TAINT_USER
#endif

#endif /* _SIM_COMPAT_H */
