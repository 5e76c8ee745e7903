# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The VM's access to the host's root: its initramfs, and the device. Sourced by vm.sh,
# whose variables kdir, release, run and mem it uses.
# shellcheck disable=SC2034,SC2154 # those, and the variables that it sets for vm.sh

# Over 9p; over virtiofs where the kernel has no 9p, as Debian's for clouds.
choose_root() {
	root_over=9p root_drivers=(9p 9pnet_virtio)
	[ -d "$kdir/lib/modules/$release" ] || return 0
	! modprobe -d "$kdir" -S "$release" --show-depends 9p >/dev/null 2>&1 || return 0
	root_over=virtiofs root_drivers=(virtiofs)
	virtiofsd=/usr/lib/qemu/virtiofsd
	[ -x $virtiofsd ] || die "kernel $release has no 9p, and there is no $virtiofsd here: run 'make setup'"
}

# The initramfs: busybox, the drivers that are modules in this kernel, init.
make_initramfs() {
	local root new
	initrd=$kdir/initramfs-$(cat "$TOP/selftests/qemu/init" "$TOP/scripts/vm/root.sh" /bin/busybox |
		sha256sum | cut -c 1-12).cpio
	[ ! -e "$initrd" ] || return 0
	root=$(mktemp -d)
	mkdir -p "$root/bin" "$root/modules"
	cp /bin/busybox "$root/bin/"
	install -m 755 "$TOP/selftests/qemu/init" "$root/init"
	: >"$root/modules/list"
	if [ -d "$kdir/lib/modules/$release" ]; then
		add_drivers "$root" virtio_pci virtio_blk virtio_console virtio_rng "${root_drivers[@]}" overlay
	fi
	new=$initrd.$$
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$new"
	mv "$new" "$initrd"
	rm -rf "$root"
}

# add_drivers ROOT DRIVER...: with their dependencies, in the order in which they load.
add_drivers() {
	local root=$1 driver ko
	shift
	for driver; do
		modprobe -d "$kdir" -S "$release" --show-depends "$driver"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r ko; do
		cp "$ko" "$root/modules/"
		ko=$root/modules/${ko##*/}
		case $ko in
		*.xz) xz -d "$ko"; ko=${ko%.xz} ;;
		*.zst) zstd -q -d --rm "$ko"; ko=${ko%.zst} ;;
		esac
		echo "${ko##*/}" >>"$root/modules/list"
	done
}

# root_device: sets the options of QEMU for it.
root_device() {
	# shellcheck disable=SC2054 # the commas are QEMU's
	case $root_over in
	9p) root_device=(-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap
		-device virtio-9p-pci,fsdev=host,mount_tag=host) ;;
	virtiofs) root_device=(-object "memory-backend-memfd,id=mem,size=${mem}M,share=on" -numa node,memdev=mem
		-chardev "socket,id=host,path=$run/root.sock"
		-device vhost-user-fs-pci,chardev=host,tag=host) ;;
	esac
}

# serve_root: runs before QEMU starts. The server ends with QEMU, and the guest mounts
# it read-only. A root of "/" cannot be that of a mount namespace, hence chroot.
serve_root() {
	local as_user=() tries=0
	[ "$root_over" = virtiofs ] || return 0
	[ "$(id -u)" = 0 ] || as_user=(unshare --map-root-user)
	rm -f "$run/root.sock"
	setpriv --pdeathsig KILL "${as_user[@]}" "$virtiofsd" "--socket-path=$run/root.sock" \
		-o source=/ -o sandbox=chroot -o cache=always </dev/null >"$run/virtiofsd.out" 2>&1 &
	until [ -S "$run/root.sock" ]; do
		kill -0 $! 2>/dev/null || { cat "$run/virtiofsd.out" >&2; die "virtiofsd has ended"; }
		tries=$((tries + 1))
		[ $tries -lt 600 ] || die "virtiofsd does not listen"
		sleep 0.1
	done
}
