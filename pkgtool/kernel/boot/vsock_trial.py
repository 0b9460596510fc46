"""What a guest runs to show that packages forward vsock connections: services and clients, in perl.

Perl, because every Debian system has it. AF_VSOCK is 40 on Linux, struct sockaddr_vm is in linux/vm_sockets.h, and the
context id 1 is the guest itself. vpnkit-forwarder's protocol is that of github.com/moby/vpnkit, go/pkg/libproxy
(frame.go, handshake.go): numbers are little-endian, a frame is its length, a command, a connection, and what belongs
to the command.
"""

from __future__ import annotations

_GREETING = "hello through vsock"
_SERVICE = "/run/service.sock"
_VSUDD_PORT = 1024
_FORWARDER_PORT = 62373

# Nothing here waits for a time: how long a program takes to start is not the same on every machine.
_ANSWERS_ONCE = f"""
$b rm -f {_SERVICE}
perl -MSocket -e '
    socket(my $server, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
    bind($server, pack_sockaddr_un("{_SERVICE}.new")) && listen($server, 1) or die "listen: $!";
    rename("{_SERVICE}.new", "{_SERVICE}") or die "rename: $!";
    accept(my $client, $server); sysread($client, my $said, 100); syswrite($client, uc $said);
' &
until [ -S {_SERVICE} ]; do $b sleep 0.1; done
"""
_CONNECTS = """
    my $s;
    for (1 .. 200) {
        socket($s, 40, 1, 0) or die "socket: $!";
        connect($s, pack("S S L L x4", 40, 0, PORT, 1)) and last;
        select(undef, undef, undef, 0.2);
    }
"""

VSUDD = f"""{_ANSWERS_ONCE}
/vsudd -inport {_VSUDD_PORT}:unix:{_SERVICE} &
perl -e '{_CONNECTS.replace("PORT", str(_VSUDD_PORT))}
    syswrite($s, "{_GREETING}"); sysread($s, my $answer, 100); print "vsudd answered: $answer\\n";
'
"""

# Commands: 1 opens a connection (multiplexed: 2) to a Unix socket (3), 5 allows so many bytes, 4 is data.
FORWARDER = f"""{_ANSWERS_ONCE}
/vpnkit-forwarder -data-listen {_FORWARDER_PORT} &
perl -e '{_CONNECTS.replace("PORT", str(_FORWARDER_PORT))}
    my $magic = "https://github.com/moby/vpnkit multiplexer protocol\\n";
    sub get {{
        my $got = "";
        while (length $got < $_[0]) {{ sysread($s, $got, $_[0] - length $got, length $got) or die "it hung up" }}
        return $got;
    }}
    sub frame {{ syswrite($s, pack("S< c L< a*", 7 + length $_[1], $_[0], 1, $_[1])) }}
    syswrite($s, $magic . pack("S<", 0));
    get(length $magic) eq $magic or die "no handshake"; get(unpack("S<", get(2)));
    frame(1, pack("c C S< a*", 2, 3, length "{_SERVICE}", "{_SERVICE}"));
    frame(5, pack("Q<", 65536));
    frame(4, pack("L<", length "{_GREETING}")); syswrite($s, "{_GREETING}");
    while (1) {{
        my ($length, $command) = unpack("S< c", get(7));
        my $rest = get($length - 7);
        if ($command == 4) {{ print "vpnkit-forwarder answered: ", get(unpack("L<", $rest)), "\\n"; last }}
    }}
'
"""

ANSWERS = (f"^vsudd answered: {_GREETING.upper()}$", f"^vpnkit-forwarder answered: {_GREETING.upper()}$")
