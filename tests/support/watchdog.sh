#!/bin/sh
# Stops the tests' PostgreSQL once no test process has used it for a while.
# Usage: watchdog.sh FOLDER STOP-COMMAND...
#
# Every test process holds a shared lock on in-use.lock as long as it lives, however it ends: the
# kernel lets go of it. So an exclusive lock is to be had only while nobody is there. It is kept
# while the server stops: a test process that comes at that moment waits, and starts a new server.
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
# In this order: whoever gets in-use.lock next must not take this watchdog for a living one.
exec 7>&-
exec 8>&-
