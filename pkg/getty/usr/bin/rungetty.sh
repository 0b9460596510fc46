#!/bin/sh
# Keep a login prompt running on every console that the kernel command line names.
#
#   INSECURE=true            log root in without a password
#   INITGETTY=true           don't wait for the prompts (as a start script of an init system)
#   /hostroot/etc/getty.shadow   the line of shadow(5) that decides how root may log in
#   /etc/securetty           the terminals on which root may log in at all (pam_securetty)
#
# PKGTOOL_CMDLINE, PKGTOOL_DEV and PKGTOOL_SHADOW name other places, for tests.
set -u

cmdline=${PKGTOOL_CMDLINE:-/proc/cmdline}
devices=${PKGTOOL_DEV:-/dev}
shadow=${PKGTOOL_SHADOW:-/hostroot/etc/getty.shadow}
securetty=/etc/securetty
started=

say() {
	echo "getty: $1"
	# The console may be one that nobody reads; that is no reason to stop.
	[ ! -w "$devices/console" ] || echo "getty: $1" >"$devices/console" 2>/dev/null || :
}

# Root's entry from the host, with the rest of our own file: a file that lacks its last newline is fine.
take_shadow() {
	[ -f "$shadow" ] || return 0
	entry=$(grep '^root:' "$shadow" | tail -n 1)
	if [ -z "$entry" ]; then
		say "$shadow has no line for root, ignored"
		return 0
	fi
	rest=$(grep -v '^root:' /etc/shadow)
	(umask 077 && printf '%s\n%s\n' "$entry" "$rest" >/etc/shadow.new) && mv /etc/shadow.new /etc/shadow
}

# What agetty needs to know of a console: its options, speeds and terminal type.
describe() {
	case $1 in
	tty[0-9] | tty[0-9][0-9]) options= speed=38400 term=linux ;;
	ttyS* | ttyAMA* | ttyUSB* | ttyMFD*) options=-L term=vt220 ;;
	*) options=-L term=linux ;;
	esac
}

respawn() {
	while :; do
		# agetty leaves when the line hangs up or somebody logs out; a pause keeps a broken line from spinning.
		setsid -w /usr/sbin/agetty "$@" || sleep 1
	done
}

start() {
	tty=${1%%,*}
	case $1 in
	*,*) speed=$(printf '%s' "${1#*,}" | sed 's/[^0-9].*//') ;;
	*) speed= ;;
	esac
	speed=${speed:-115200}
	case " $started " in
	*" $tty "*)
		say "$tty is named twice, one prompt is enough"
		return
		;;
	esac
	started="$started $tty"
	if [ ! -c "$devices/$tty" ]; then
		say "the command line names console=$tty, but $devices/$tty is no character device; no prompt there"
		return
	fi
	describe "$tty"
	grep -qx "$tty" $securetty || say "$tty is not in $securetty: root can't log in there"
	login=
	[ "${INSECURE:-}" != true ] || login='--autologin root'
	say "a prompt on $tty"
	# shellcheck disable=SC2086 # options are words
	respawn $login $options "$speed" "$tty" "$term" &
}

take_shadow
for word in $(cat "$cmdline"); do
	case $word in
	console=*) start "${word#console=}" ;;
	esac
done

[ "${INITGETTY:-}" = true ] && exit 0
trap 'trap - TERM INT; kill 0; exit 0' TERM INT
wait
# No console at all: stay, so that the service does not count as ended.
[ -n "$started" ] || while :; do sleep 3600 & wait $!; done
