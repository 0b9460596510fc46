#!/bin/sh
# Start the SSH server: make host keys if there are none yet, take the keys that may log in, stay in the foreground.
#
# Keys that may log in as root come from /root/.ssh/authorized_keys if somebody put it there, else from the
# metadata that LinuxKit's metadata service left in /run/config/ssh/authorized_keys.
set -eu

metadata=/run/config/ssh/authorized_keys
authorized=/root/.ssh/authorized_keys

# Keys in /etc/ssh survive if it is mounted from a disk; otherwise every boot is a new machine.
set -- /etc/ssh/ssh_host_*_key
[ -e "$1" ] || ssh-keygen -q -A

mkdir -p -m 0700 /root/.ssh 2>/dev/null || :
if [ ! -s "$authorized" ] && [ -s "$metadata" ]; then
	(umask 077 && cat "$metadata" >"$authorized")
fi
[ -s "$authorized" ] || echo "sshd: nobody can log in: neither $authorized nor $metadata has a key" >&2

mkdir -p -m 0755 /run/sshd
exec /usr/sbin/sshd -D -e
