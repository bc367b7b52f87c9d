#!/bin/sh
# Stops the tests' PostgreSQL once no test process has used it for a while.
# Usage: watchdog.sh FOLDER STOP-COMMAND...
#
# Every test process holds a shared lock on in-use.lock, which the kernel releases however the process
# ends. The exclusive lock is therefore available only when no test process is running. It is held while
# the server stops, so a test process that starts at that moment waits and then starts a new server.
home=$1
shift
cd / || exit 1
exec 7>>"$home/watchdog.lock" 8>>"$home/in-use.lock"
flock -w 10 -x 7 || exit 0

idle=0
while :; do
    sleep 1 7>&- 8>&-
    if flock -n -x 8; then
        idle=$((idle + 1))
        [ "$idle" -ge 15 ] && break
        flock -u 8
    else
        idle=0
    fi
done

"$@" 7>&- 8>&-
rm -rf "$home/server"
# The order matters: the process that gets in-use.lock next must not find watchdog.lock still taken.
exec 7>&-
exec 8>&-
