#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# MariaDB with native AIO of libaio, under 'afsync exec --stats', as an ordinary user on ext4.
# Four sessions insert rows, four in a transaction, and each writes a transaction down once its
# COMMIT has returned. After a random number of these mariadbd gets SIGKILL. It starts again and
# recovers: every transaction that was written down is there, each is whole, every row has the
# right content, and CHECK TABLE has no complaint.
#
#	selftests/clients/mariadb.sh		needs: see ../programs/programs.sh; mariadbd
#	ROUNDS=N SEED=N				so many kills (3); which moments
#
# What goes through the drop-in: InnoDB submits its asynchronous writes of pages with
# io_submit(3), and the drop-in passes them to kernel AIO. MariaDB takes their events with the
# system call io_getevents(2), past the drop-in. It reads with pread(2), writes its log with
# pwrite(2), and syncs with fdatasync(2), so none of its syncs reaches the device. (strace of
# 10.11; it can also submit reads ahead.) The test checks that requests pass the drop-in, and
# that none of them is a sync.
#
# The last cases damage the table, and lose writes on purpose (lose_writes.c): the test has to
# detect it.

. "$(dirname "$0")/../programs/programs.sh"

# For needs.
# shellcheck disable=SC2034
FILESYSTEMS=ext4
sessions=4
rounds=${ROUNDS:-3}
lose=$TOP/build/selftests/clients/lose_writes.so
RANDOM=${SEED:-1}
server='' clients=()

sql() {
	mariadb --no-defaults --socket="$dir/socket" --batch --skip-column-names --unbuffered "$@"
}

# start [LIBRARY]: mariadbd, with that library in front of the drop-ins, until it answers. The
# buffer pool and the log are the smallest possible, so that it writes and reads all the time.
start() {
	local tries
	rm -f "$dir/pid" "$dir/stats"
	: >"$dir/log.err"
	chown nobody "$dir/log.err"
	# shellcheck disable=SC2016 # for that shell
	setpriv --reuid=nobody --regid=nogroup --clear-groups \
		"$dir/tools/afsync/afsync" exec --stats="$dir/stats" -- \
		sh -c 'LD_PRELOAD=$1${1:+:}$LD_PRELOAD; shift; exec "$@"' - "${1:-}" \
		mariadbd --no-defaults --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" \
		--log-error="$dir/log.err" --skip-networking --skip-grant-tables --skip-stack-trace \
		--innodb-use-native-aio=1 --innodb-linux-aio=aio --innodb-buffer-pool-size=6M \
		--innodb-log-file-size=4M --innodb-max-dirty-pages-pct=0 --innodb-stats-persistent=0 \
		>>"$log" 2>&1 &
	server=$!
	for ((tries = 0; tries < 1200; tries++)); do
		! sql -e 'SELECT 1' >/dev/null 2>&1 || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	why "mariadbd does not answer"
}

# stop: SIGKILL, and the end of all that waits for mariadbd.
stop() {
	[ ! -s "$dir/pid" ] || kill -KILL "$(cat "$dir/pid")" 2>/dev/null || true
	[ ${#clients[@]} = 0 ] || wait "${clients[@]}" || true
	clients=()
	wait "$server" || true
}

# served: mariadbd uses libaio, and the only libaio that it has loaded is the drop-in.
served() {
	local loaded
	grep -q 'InnoDB: Using Linux native AIO' "$dir/log.err" ||
		why "InnoDB does not use libaio" || return 1
	loaded=$(grep -o '/[^ ]*libaio\.so.*' "/proc/$(cat "$dir/pid")/maps" | sort -u)
	[ "$loaded" = "$dir/tools/lib/afsync-libaio/afsync/libaio.so.1" ] || why "its libaio is: $loaded"
}

create() {
	sql -e 'CREATE DATABASE d CHARACTER SET utf8mb4; CREATE TABLE d.t (name CHAR(64) PRIMARY KEY,
		session INT, tx INT, part INT, content TEXT) ENGINE=InnoDB' >>"$log" 2>&1
}

# transactions SESSION FIRST: for ever, as SQL. The names are spread over the table.
transactions() {
	local tx part name
	for ((tx = $2; ; tx++)); do
		echo 'BEGIN;' || return
		for part in 1 2 3 4; do
			name="SHA2('$1-$tx-$part', 256)"
			echo "INSERT INTO t VALUES ($name, $1, $tx, $part, REPEAT($name, 40 + $tx % 60));" || return
		done
		# The client has this line only after the COMMIT, and ends at the first error.
		echo "COMMIT; SELECT '$1 $tx';" || return
	done
}

acked() { cat "$work"/acked.* 2>/dev/null | wc -l; }

# load ROUND TRANSACTIONS: until so many more are acknowledged.
load() {
	local session goal=$(($(acked) + $2))
	for ((session = 1; session <= sessions; session++)); do
		transactions "$session" $(($1 * 1000000)) 2>/dev/null |
			sql d >>"$work/acked.$session" 2>>"$log" &
		clients+=($!)
	done
	while [ "$(acked)" -lt "$goal" ]; do
		kill -0 "$server" 2>/dev/null || why "mariadbd ended under load" || return 1
		kill -0 "${clients[@]}" 2>/dev/null || why "a session ended" || return 1
		sleep 0.1
	done
}

stat_of() { sed -n "s/^$1: *//p" "$dir/stats"; }

# counted: requests of the mariadbd that is gone went through the drop-in, and no sync.
counted() {
	local requests
	requests=$(stat_of 'libaio other')
	echo "# figure: ${requests:-0} requests of MariaDB through the drop-in"
	[ "${requests:-0}" -gt 0 ] || why "no request went through the drop-in" || return 1
	[ "$(stat_of 'libaio fsync') $(stat_of 'libaio fdsync')" = '0 0' ] || why "it queued syncs"
}

# verify: the table has every acknowledged transaction, whole, and nothing wrong.
verify() {
	local lost answer
	answer=$(sql d -e 'CHECK TABLE t EXTENDED' 2>&1) || true
	[ "$answer" = $'d.t\tcheck\tstatus\tOK' ] || why "CHECK TABLE: $answer" || return 1
	sql d -e "SELECT CONCAT(session, ' ', tx) FROM t GROUP BY session, tx" 2>>"$log" |
		sort >"$work/found"
	lost=$(sort "$work"/acked.* | comm -23 - "$work/found")
	[ -z "$lost" ] || why "lost: $(wc -l <<<"$lost") transactions, as ${lost%%$'\n'*}" || return 1
	answer=$(sql d -e "SELECT COUNT(*) FROM t WHERE content <> REPEAT(name, 40 + tx % 60) OR
		name <> SHA2(CONCAT_WS('-', session, tx, part), 256)" 2>>"$log") || true
	[ "$answer" = 0 ] || why "rows with a wrong content: $answer" || return 1
	answer=$(sql d -e 'SELECT COUNT(*) FROM (SELECT 1 FROM t GROUP BY session, tx
		HAVING COUNT(*) <> 4) AS part' 2>>"$log") || true
	[ "$answer" = 0 ] || why "transactions that are not whole: $answer"
}

# new_server: with an empty table.
new_server() {
	rm -rf "$dir/data" "$work"/acked.*
	mkdir "$dir/data"
	chown nobody "$dir/data"
	start && create
}

# round NUMBER: load, kill, recovery.
round() {
	load "$1" $((50 + RANDOM % 150)) || return 1
	stop
	counted || return 1
	start && served && verify || return 1
	echo "# figure: $(acked) acknowledged transactions of MariaDB found after a kill"
}

# damage SQL MESSAGE: verify complains in these words of what that has changed.
damage() {
	sql d -e "$1" >>"$log" 2>&1 || return 1
	! verify || why "no complaint: $1" || return 1
	tail -n 1 "$log" | grep -qF "$2" || why "another complaint was expected: $2"
}

# damaged: each kind of loss, by hand.
damaged() {
	local session tx of
	read -r session tx <"$work/acked.1"
	of="session = $session AND tx = $tx"
	damage "UPDATE t SET content = REVERSE(content) WHERE $of AND part = 1" 'wrong content' || return 1
	damage "DELETE FROM t WHERE $of AND part = 1" 'not whole' || return 1
	damage "DELETE FROM t WHERE $of" 'lost: 1 transactions'
}

# loses: a server that loses writes ends by itself, or verify finds it out.
loses() {
	new_server || return 1
	stop
	start "$lose" || return 1
	load 0 500 || return 0
	stop
	if start && verify; then
		why "lost writes were not detected"
	fi
}

end() {
	[ -z "$server" ] || stop
	umount "$dir/tools"
	rm -rf "$dir" "$work"
}

needs mariadbd mariadb setpriv
scratch ext4
# In a place that the user can reach, wherever the tree is.
mkdir "$dir/tools"
mount --bind "$TOP/build/tools" "$dir/tools"
trap end EXIT
chown nobody "$dir"
error_log=$dir/log.err
plan $((rounds + 3))
echo "# SEED=${SEED:-1}"
case_is "mariadbd starts with native AIO, through the drop-in" eval 'new_server && served'
for ((i = 1; i <= rounds; i++)); do
	case_is "round $i: all that was acknowledged survives a kill, whole and right" round "$i"
done
case_is "rows that are changed or deleted by hand are found out" damaged
stop
case_is "a server that loses writes is found out" loses
exit $failed
