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

# A file, because programs that apt starts read it too. Nothing of /etc/apt counts.
cat > "$work/apt.conf" <<END
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Log "/dev/null";
APT::Sandbox::User "";
APT::Install-Recommends "false";
DPkg::Use-Pty "false";
DPkg::Options { "--force-unsafe-io"; "--force-confdef"; "--force-confold"; };
END
export APT_CONFIG="$work/apt.conf" DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq --yes install "$@"

# Some packages make an identity for the machine. An image has none: whoever starts it gets their own.
[ ! -s /etc/machine-id ] || : >/etc/machine-id
rm -rf /var/lib/apt/extended_states /var/lib/dpkg/*-old /var/lib/dpkg/lock* /var/lib/dpkg/triggers/Lock \
	/var/cache/debconf/*-old /var/cache/debconf/tmp.ci /var/cache/ldconfig/aux-cache /var/log/*.log /var/log/apt/* \
	/etc/.pwd.lock /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /run/adduser
EOF
chmod 755 /usr/local/sbin/install-inputs
