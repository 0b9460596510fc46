#!/bin/sh
# Start the SSH server: make host keys if there are none yet, and stay in the foreground.
#
#   /etc/ssh/sshd_config   used instead of the image's own configuration, if somebody puts one there
set -eu

# Without keys that somebody brought, every boot is a new machine.
set -- /etc/ssh/ssh_host_*_key
[ -e "$1" ] || ssh-keygen -q -A

for keys in /root/.ssh/authorized_keys /run/config/ssh/authorized_keys; do
	[ ! -s "$keys" ] || found=$keys
done
[ -n "${found:-}" ] || echo "sshd: nobody can log in: neither /root/.ssh nor /run/config/ssh has authorized_keys" >&2

config=/etc/ssh/sshd_config
[ -e $config ] || config=/usr/share/sshd/sshd_config
mkdir -p /run/sshd && chmod 0755 /run/sshd
exec /usr/sbin/sshd -D -e -f $config
