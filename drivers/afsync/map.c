// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping of a ring: puts its pages into the program's memory. Looks at none of them.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/vmalloc.h>

#include "afsync.h"
#include "compat.h"

/* When the program touches a page, for the first time or again after MADV_DONTNEED. */
static vm_fault_t ring_fault(struct vm_fault *vmf)
{
	struct afsync_ring *ring = vmf->vma->vm_private_data;

	if (vmf->pgoff >= ring->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	vmf->page = vmalloc_to_page((void *)ring->shared + (vmf->pgoff << PAGE_SHIFT));
	get_page(vmf->page);
	return 0;
}

/* Without this, the first store to a page would change the times of the device's node. */
static vm_fault_t ring_mkwrite(struct vm_fault *vmf)
{
	lock_page(vmf->page);
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct ring_vm_ops = {
	.fault		= ring_fault,
	.page_mkwrite	= ring_mkwrite,
};

/*
 * Shared mappings only: in a private one, the kernel would never see the program's head. The
 * mapping holds the file and so the ring; the pages have references of their own. It cannot
 * grow, and is not in a core dump, where it would be of no use.
 */
int afsync_ring_map(struct afsync_ring *ring, struct vm_area_struct *vma)
{
	size_t size = vma->vm_end - vma->vm_start;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff || size > ring->size)
		return -EINVAL;

	afsync_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = ring;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}
