#!/bin/sh
# Keep a login prompt running on every console that the kernel command line names.
#
#   INSECURE=true                log root in without a password
#   INITGETTY=true               leave the prompts running and end, as a start script of an init system must
#   /hostroot/etc/getty.shadow   its line for root (shadow(5)) decides how root may log in
#   /etc/securetty               the terminals on which root may log in with a password (pam_securetty(8))
set -fu

shadow=/hostroot/etc/getty.shadow
[ "${INITGETTY:-}" != true ] || shadow=/etc/getty.shadow # then the host's files are our own
securetty=/etc/securetty
seen=
prompts=

say() {
	echo "getty: $1"
	# The console may be one that nobody reads; that is no reason to stop.
	echo "getty: $1" 2>/dev/null >/dev/console || :
}

# Root's entry from the host, with the rest of our own file. Whether the file ends with a newline does not matter.
take_shadow() {
	[ -f "$shadow" ] || return 0
	entry=$(grep '^root:' "$shadow" | tail -n 1)
	if [ -z "$entry" ]; then
		say "$shadow has no line for root, ignored"
		return 0
	fi
	others=$(grep -v '^root:' /etc/shadow)
	(umask 077 && printf '%s\n%s\n' "$entry" "$others" >/etc/shadow.new) && mv /etc/shadow.new /etc/shadow
}

# A prompt on one console, again whenever it ends, until somebody ends us. Arguments: agetty's.
keep_prompting() {
	trap 'kill "$!" 2>/dev/null; wait; exit 0' TERM
	while :; do
		# A session of its own, so that the console becomes its controlling terminal.
		setsid /usr/sbin/agetty "$@" &
		wait "$!"
		# Somebody logged out, or the line hung up; without a pause a dead line would keep a processor busy.
		sleep 1
	done
}

# What follows console= on the command line: a device and perhaps its speed, as in ttyS0,115200n8.
start() {
	tty=${1%%,*}
	case $tty in
	'' | null) return ;; # the kernel is told to have no console
	esac
	case " $seen " in
	*" $tty "*)
		say "$tty is named twice, one prompt is enough"
		return
		;;
	esac
	seen="$seen $tty"
	if [ ! -c "/dev/$tty" ]; then
		say "the command line names console=$tty, but /dev/$tty is no character device; no prompt there"
		return
	fi

	speed=
	[ "$tty" = "$1" ] || speed=$(printf '%s' "${1#*,}" | sed 's/[^0-9].*//')
	line=-L
	terminal=linux
	case $tty in
	tty[0-9] | tty[0-9][0-9]) line='' speed=38400 ;;
	ttyS* | ttyAMA* | ttyUSB* | ttyMFD*) terminal=vt220 ;;
	esac
	login=
	if [ "${INSECURE:-}" = true ]; then
		login='--autologin root'
	elif [ -e $securetty ] && ! grep -qxF "$tty" $securetty; then
		say "$tty is not in $securetty: root can't log in there"
	fi
	say "a prompt on $tty"
	# shellcheck disable=SC2086 # options are words
	keep_prompting $login $line "${speed:-115200}" "$tty" "$terminal" &
	prompts="$prompts $!"
}

take_shadow
# shellcheck disable=SC2013 # words
for word in $(cat /proc/cmdline); do
	case $word in
	console=*) start "${word#console=}" ;;
	esac
done
[ "${INITGETTY:-}" != true ] || exit 0

if [ -z "$prompts" ]; then
	say "there is no console to put a prompt on"
	sleep infinity &
	prompts=$!
fi
# Every prompt is a session of its own, which no signal to our process group reaches.
# shellcheck disable=SC2064,SC2086 # a list of process ids, known now
trap "kill $prompts 2>/dev/null; wait; exit 0" TERM INT
wait
