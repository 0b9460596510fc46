#!/bin/sh
# Runs once in the new system, without network.
set -eu

# How packages FROM this one install their locked .debs, in a build step without network:
#   RUN --mount=type=bind,source=inputs,target=/inputs install-inputs openssh-server
cat > /usr/local/sbin/install-inputs <<'EOF'
#!/bin/sh
# install-inputs PACKAGE...: install Debian packages from /inputs/debian, and leave no trace of the run itself.
set -eu

repository=${INPUTS:-/inputs}/debian
[ -e "$repository/Packages" ] || { echo "install-inputs: $repository holds no packages" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
echo "deb [trusted=yes] copy:$repository ./" > "$work/sources.list"

offline() {
	apt-get -qq --yes \
		-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::Log=/dev/null \
		-o APT::Sandbox::User= -o APT::Install-Recommends=false \
		-o Dpkg::Use-Pty=false -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confdef "$@"
}

export DEBIAN_FRONTEND=noninteractive
offline update
offline install "$@"

# Some packages make an identity for the machine. An image has none: whoever starts it gets their own.
[ ! -s /etc/machine-id ] || : >/etc/machine-id
rm -f /var/lib/apt/extended_states /var/lib/dpkg/*-old /var/lib/dpkg/lock* /var/lib/dpkg/triggers/Lock \
	/var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/log/*.log /var/log/apt/* \
	/etc/.pwd.lock /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
EOF
chmod 755 /usr/local/sbin/install-inputs
