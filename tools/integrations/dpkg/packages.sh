#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes two versions of a package of many small files, for guest.sh.
#
#	tools/integrations/dpkg/packages.sh FOLDER FILES [OPTION-OF-DPKG-DEB]...
#
# Makes FOLDER/1.deb, FOLDER/2.deb, and FOLDER/1.list, FOLDER/2.list, which have "path checksum
# mode mtime" of each file.

. "$(dirname "$0")/../../../scripts/lib.sh"
. "$TOP/tools/integrations/files.sh"

DIR=$1 FILES=$2
shift 2
OPTIONS=("$@")
ME=packages

make_package() {
	local root=$DIR/$1
	mkdir -p "$root/DEBIAN"
	write_files "$root" "$1" "$FILES"
	cat >"$root/DEBIAN/control" <<-END
	Package: many-files
	Version: $1
	Architecture: all
	Maintainer: afsync <afsync@localhost>
	Description: many small files, to see how long they take
	END
	(cd "$root" && find usr -type f -exec md5sum {} +) >"$DIR/md5sums"
	mv "$DIR/md5sums" "$root/DEBIAN/md5sums"
	SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group ${OPTIONS[@]+"${OPTIONS[@]}"} -b "$root" "$DIR/$1.deb" >/dev/null
	list_files "$root" usr >"$DIR/$1.list"
	rm -rf "$root"
}

mkdir -p "$DIR"
rm -rf "${DIR:?}"/{1,2,stamp}
make_package 1
make_package 2
echo "$FILES ${OPTIONS[*]}" >"$DIR/stamp"
