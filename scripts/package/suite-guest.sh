#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check-install.sh runs this in the VM after the boot. /afsync-check has this file, the
# compiled program, and, except in the quick form, in next/ the packages of a higher version and
# in podman/ those of podman. The results go to the second serial port: "ok COLUMN TEXT" or "not
# ok COLUMN TEXT", and after the last one "end".

cd /afsync-check || exit
COUNTERS=/sys/class/misc/afsync/stats
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root
exec >/dev/ttyS1 2>&1
echo begin

# check COLUMN TEXT CMD...: shows the output of CMD if it fails.
check() {
	local column=$1 text=$2 said
	shift 2
	if said=$("$@" 2>&1); then
		echo "ok $column $text"
	else
		printf '%s\n' "$said" | sed 's/^/# /'
		echo "not ok $column $text"
	fi
}

# Any user: in no group of the device, and with no capability.
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

device() {
	[ -c /dev/afsync ] || { ls -l /dev/afsync; lsmod; systemctl status systemd-modules-load; return 1; }
	# The permissions in the udev rule of the package.
	[ "$(stat -c '%A %U:%G' /dev/afsync)" = "crw-rw-rw- root:afsync" ] ||
		{ ls -l /dev/afsync; return 1; }
}

# The module that DKMS has built, of the version of its package.
loaded() {
	local package loaded
	package=$(dpkg-query -W -f '${Version}' afsync-dkms)
	loaded=$(cat /sys/module/afsync/version)
	[[ $(modinfo -n afsync) = */updates/dkms/afsync.ko* ]] || { modinfo afsync; return 1; }
	[ "${package%%-*}" = "$loaded" ] ||
		{ echo "version $loaded is loaded, the package has $package"; return 1; }
}

tree() {
	local before after
	mkdir tree tree/below
	chmod 777 tree/below
	echo text | tee tree/a tree/b tree/below/c
	before=$(cat $COUNTERS/completed)
	as_user afsync -r tree || return
	after=$(cat $COUNTERS/completed)
	[ "$after" -ge $((before + 5)) ] ||
		{ echo "two folders and three files, but $((after - before)) requests of the device"; return 1; }
}

info() {
	as_user afsync info | tee info
	grep -q '^engine *device$' info && grep -q "^module_version *$(cat /sys/module/afsync/version)\$" info
}

program() {
	local before after
	before=$(cat $COUNTERS/completed)
	as_user ./program tree/below/new || return
	after=$(cat $COUNTERS/completed)
	[ "$after" -gt "$before" ] || { echo "no request of the device was made"; return 1; }
}

# block WORD: the commands of admin.rst marked "# tested with systemd", of the block that
# contains WORD.
block() {
	awk -v word="$1" '
		/^ *# tested with systemd$/ { indent = index($0, "#"); text = ""; next }
		indent && $0 != "" && substr($0, 1, indent - 1) ~ /[^ ]/ {
			if (index(text, word)) printf "%s", text
			indent = 0
		}
		indent { text = text substr($0, indent) "\n" }' admin.rst
}

# engine COMMAND...: the engine that afsync info reports under COMMAND.
engine() { "$@" afsync info | awk '$1 == "engine" { print $2 }'; }

group_only() {
	bash -e <<<"$(block udevadm)" && udevadm settle || return
	[ "$(stat -c '%A %U:%G' /dev/afsync)" = "crw-rw---- root:afsync" ] || { ls -l /dev/afsync; return 1; }
	[ "$(engine as_user)" = threads ] || { as_user afsync info; return 1; }
	[ "$(engine setpriv --reuid=65534 --regid=afsync --clear-groups)" = device ] || return
	rm /etc/udev/rules.d/60-afsync.rules
	udevadm control --reload && udevadm trigger --name-match=afsync && udevadm settle && device
}

# service [PROPERTY]...: the engine in a service with these properties.
service() {
	local property args=()
	for property; do args+=(-p "$property"); done
	engine systemd-run -q --pipe --wait "${args[@]}"
}

services() {
	[ "$(service)" = device ] || { echo "no device in a service"; return 1; }
	[ "$(service PrivateDevices=yes)" = threads ] || { echo "PrivateDevices does not hide it"; return 1; }
	[ "$(service DevicePolicy=closed)" = threads ] || { echo "DevicePolicy does not deny it"; return 1; }
	[ "$(service DevicePolicy=closed 'DeviceAllow=/dev/afsync rw')" = device ] ||
		{ echo "DeviceAllow does not give it back"; return 1; }
	bash -e <<<"$(block systemd-run)" | tee said
	grep -q '^engine *device' said || return
	systemd-run -q --wait -p Type=exec afsync exec true
}

# An image with only the command, which finds the device if the container has it.
container() {
	local file
	export IMAGE=localhost/only-afsync
	for file in /usr/bin/afsync $(ldd /usr/bin/afsync | grep -o '/[^ ]*'); do
		install -D "$file" "image$file"
	done
	dpkg --force-unsafe-io -i podman/*.deb >podman.log 2>&1 || { tail -n 30 podman.log; return 1; }
	tar -C image -c . | podman import - "$IMAGE"
	[ "$(engine podman run --rm "$IMAGE")" = threads ] || { echo "the device is there unasked"; return 1; }
	bash -e <<<"$(block podman)" | tee said
	grep -q '^engine *device' said
}

# Programs continue with the loaded module; the package says how to change it.
upgrade() {
	if ! apt-get install -q -y --no-install-recommends ./next/*.deb >upgrade.log 2>&1 ||
		[ "$(cat /sys/module/afsync/version)" != "$1" ]; then
		tail -n 30 upgrade.log
		return 1
	fi
}
message() {
	grep -q 'modprobe -r afsync && modprobe afsync' upgrade.log || { tail -n 30 upgrade.log; return 1; }
}
follow_message() { modprobe -r afsync && modprobe afsync && udevadm settle && loaded && device; }

remove() { apt-get purge -q -y afsync-dkms && [ ! -e /etc/udev/rules.d/60-afsync.rules ]; }

check device "/dev/afsync is there after boot, crw-rw-rw- root:afsync" device
check device "the module is the one that DKMS built, of the package's version" loaded
check command "afsync -r syncs through the device, for any user" tree
check command "afsync info tells the device and the version" info
check program "a program compiled with pkg-config syncs through the device" program
check device "admin.rst: a rule of udev gives the device to the group" group_only
check command "admin.rst: services, without the device and with it" services
[ ! -d podman ] || check command "admin.rst: a container, without the device and with it" container
if [ -d next ]; then
	old=$(cat /sys/module/afsync/version)
	check upgrade "the upgrade leaves the module that is loaded alone" upgrade "$old"
	check upgrade "the upgrade tells how to load the new module" message
	check upgrade "what it tells loads the new module" follow_message
	check removal "the package of a loaded module can be purged" remove
fi
echo end
systemctl poweroff
