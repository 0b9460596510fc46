#!/bin/sh
# Builds one kernel: unpack, patch, configure, compile, pack. The Dockerfile runs it, and so can anybody, on a machine
# that has the compiler. It needs no network and no private key; what it writes depends on its inputs alone, not on
# the directory, the time, the user, the language or the number of jobs.
#
#   KERNEL_CONTEXT     directory with config/ (default: the parent of this file's)
#   KERNEL_SOURCE      a tarball, a Debian linux-source package, or a directory with the tree
#   KERNEL_VERSION     what the source must say it is, such as 6.1.192
#   KERNEL_FRAGMENTS   configuration fragments in order, such as "base small tg3 security signing-sha256"
#   KERNEL_PATCHES     directory of patches, applied in the order of their names (default: none)
#   KERNEL_CERTIFICATE certificate of the key that modules will be signed with, PEM or DER
#   KERNEL_ARCH        amd64 or arm64
#   KERNEL_COMPILER    gcc-12, gcc-14, … (without its prefix)
#   KERNEL_SOURCE_INFO one line for kernel-source-info: where the source comes from, and its hash
#   KERNEL_WORK        scratch directory (default: /kernel); KERNEL_OUTPUT: where the files go (default: /out)
#   KERNEL_CCACHE      directory of a compiler cache (default: none); it changes the time and nothing else
#   KERNEL_DEBUG       1 keeps vmlinux; KERNEL_JOBS: how many compilers at once (default: processors)
#   SOURCE_DATE_EPOCH  the one time in everything, in seconds
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${KERNEL_CONTEXT:=$(dirname "$here")}" "${KERNEL_SOURCE:?}" "${KERNEL_VERSION:?}" "${KERNEL_FRAGMENTS:?}"
: "${KERNEL_PATCHES:=}" "${KERNEL_CERTIFICATE:?}" "${KERNEL_ARCH:?}" "${KERNEL_COMPILER:?}" "${SOURCE_DATE_EPOCH:?}"
: "${KERNEL_SOURCE_INFO:=$(basename "$KERNEL_SOURCE")}" "${KERNEL_WORK:=/kernel}" "${KERNEL_OUTPUT:=/out}"
: "${KERNEL_CCACHE:=}" "${KERNEL_DEBUG:=}" "${KERNEL_JOBS:=$(getconf _NPROCESSORS_ONLN)}"

die() {
    echo "error: $*" >&2
    exit 1
}

step() {
    echo "==> [$1/7] $2"
}

case $KERNEL_ARCH in
amd64) arch=x86_64 srcarch=x86 triplet=x86_64-linux-gnu image=arch/x86/boot/bzImage target=bzImage ;;
arm64) arch=arm64 srcarch=arm64 triplet=aarch64-linux-gnu image=arch/arm64/boot/Image.gz target=Image.gz ;;
*) die "KERNEL_ARCH $KERNEL_ARCH is not one of amd64, arm64" ;;
esac

tree=$KERNEL_WORK/linux
stage=$KERNEL_WORK/stage
series=$(echo "$KERNEL_VERSION" | cut -d. -f1,2)

# Nothing of the caller's environment may reach Kbuild, and the same umask gives the same modes in the archives.
umask 022
unset KERNEL_SYMBOLS MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS KCFLAGS KAFLAGS KCPPFLAGS LOCALVERSION INSTALL_MOD_STRIP || true
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH
export KBUILD_BUILD_USER=pkgtool KBUILD_BUILD_HOST=pkgtool KBUILD_BUILD_VERSION=1
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH")
export KBUILD_BUILD_TIMESTAMP

unpack() {
    step 1 "unpack $(basename "$KERNEL_SOURCE")"
    rm -rf "$tree" "$stage"
    mkdir -p "$tree" "$stage" "$KERNEL_OUTPUT"
    case $KERNEL_SOURCE in
    *.deb)
        dpkg-deb --fsys-tarfile "$KERNEL_SOURCE" >"$KERNEL_WORK/package.tar"
        inner=$(tar -tf "$KERNEL_WORK/package.tar" | grep -E '^\./usr/src/linux-source-[0-9.]+\.tar\.xz$') ||
            die "$KERNEL_SOURCE holds no usr/src/linux-source-*.tar.xz"
        tar -xOf "$KERNEL_WORK/package.tar" "$inner" | tar -xJ -C "$tree" --strip-components=1 --no-same-owner
        rm "$KERNEL_WORK/package.tar"
        ;;
    *)
        if [ -d "$KERNEL_SOURCE" ]; then
            tar -C "$KERNEL_SOURCE" --exclude=./.git -cf - . | tar -xf - -C "$tree" --no-same-owner
        else
            tar -xf "$KERNEL_SOURCE" -C "$tree" --strip-components=1 --no-same-owner
        fi
        ;;
    esac
    chmod -R u+rwX,go+rX,go-w "$tree"
    found=$(PYTHONDONTWRITEBYTECODE=1 python3 -c \
        'import sys, pathlib; sys.path.insert(0, sys.argv[1]); import explain; print(explain.kernel_version(pathlib.Path(sys.argv[2])))' \
        "$here" "$tree")
    [ "$found" = "$KERNEL_VERSION" ] || die "the source is $found, not $KERNEL_VERSION"
}

apply_patches() {
    step 2 "apply patches"
    : >"$KERNEL_WORK/patches"
    [ -n "$KERNEL_PATCHES" ] && [ -d "$KERNEL_PATCHES" ] || return 0
    for patch in "$KERNEL_PATCHES"/*.patch; do
        [ -e "$patch" ] || continue
        echo "    $(basename "$patch")"
        patch -d "$tree" -p1 --fuzz=0 --silent --no-backup-if-mismatch <"$patch" ||
            die "$(basename "$patch") does not apply to $KERNEL_VERSION"
        name=$(basename "$patch")
        echo "KERNEL_PATCH_${name%%-*}=${name#*-} sha256:$(sha256sum <"$patch" | cut -d ' ' -f 1)" \
            >>"$KERNEL_WORK/patches"
    done
}

# The path in the configuration is relative to the tree, so it is the same everywhere.
install_certificate() {
    grep -q 'PRIVATE KEY' "$KERNEL_CERTIFICATE" && die "$KERNEL_CERTIFICATE holds a private key"
    openssl x509 -in "$KERNEL_CERTIFICATE" -out "$tree/certs/trusted.pem" || die "$KERNEL_CERTIFICATE is no certificate"
    openssl x509 -in "$KERNEL_CERTIFICATE" -outform DER -out "$stage/certificate.der"
}

select_compiler() {
    compiler=$triplet-$KERNEL_COMPILER
    host_compiler=$KERNEL_COMPILER
    for program in "$compiler" "$host_compiler" "$triplet-ld"; do
        command -v "$program" >/dev/null || die "$program is not installed"
    done
    if [ -n "$KERNEL_CCACHE" ] && command -v ccache >/dev/null; then
        # shellcheck source=kernel/build/ccache.sh
        . "$here/ccache.sh"
        cache_compilers
    fi
}

# LOCALVERSION is given, though empty, so that a surrounding git repository adds no "+" to the release.
kmake() {
    make -C "$tree" ARCH=$arch CROSS_COMPILE=$triplet- CC="$compiler" HOSTCC="$host_compiler" LOCALVERSION= \
        KCFLAGS="-ffile-prefix-map=$tree=/usr/src/linux" KAFLAGS="-ffile-prefix-map=$tree=/usr/src/linux" "$@"
}

configure() {
    step 3 "configure: $KERNEL_FRAGMENTS"
    # shellcheck disable=SC2086
    PYTHONDONTWRITEBYTECODE=1 python3 "$here/configure.py" --tree "$tree" --fragments "$KERNEL_CONTEXT/config" \
        --release "$KERNEL_VERSION" --platform "$KERNEL_ARCH" --make ARCH=$arch --make CROSS_COMPILE=$triplet- \
        --make CC="$compiler" --make HOSTCC="$host_compiler" $KERNEL_FRAGMENTS
    # The layout of randomised structures is part of the result, so its seed has to be as fixed as all else.
    if grep -q '^CONFIG_RANDSTRUCT=y' "$tree/.config"; then
        echo "$KERNEL_VERSION $SOURCE_DATE_EPOCH" | sha512sum | cut -c1-64 >"$tree/scripts/basic/randstruct.seed"
    fi
}

# How many objects the last such build had, for whoever shows progress; it stays beside the compiler cache.
object_count=$KERNEL_CCACHE/objects-$series-$KERNEL_ARCH-$(echo "$KERNEL_FRAGMENTS" | cksum | cut -d ' ' -f 1)

expected_objects() {
    if [ -n "$KERNEL_CCACHE" ] && [ -s "$object_count" ]; then printf ', about %s objects' "$(cat "$object_count")"; fi
}

compile() {
    step 4 "compile with $compiler, $KERNEL_JOBS jobs$(expected_objects)"
    if [ -n "${KERNEL_SYMBOLS:-}" ]; then
        kmake -j"$KERNEL_JOBS" prepare
        cache_by_symbol
    fi
    kmake -j"$KERNEL_JOBS" $target modules
    [ ! -e "$tree/certs/signing_key.pem" ] || die "the build made a signing key of its own: is MODULE_SIG_KEY empty?"
    [ -z "$KERNEL_CCACHE" ] || find "$tree" -name '*.o' | wc -l >"$object_count"
    [ -z "$KERNEL_CCACHE" ] || ! command -v ccache >/dev/null || ccache --show-stats | sed -n 's/^/    ccache: /p' | head -4
}

archive() {
    # archive OUTPUT DIRECTORY MEMBER…
    output=$1 directory=$2
    shift 2
    tar --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --mode=u+rw,go+r,go-w -C "$directory" -cf "$output" "$@"
}

pack_kernel() {
    step 5 "install modules"
    release=$(cat "$tree/include/config/kernel.release")
    kmake -s -j"$KERNEL_JOBS" INSTALL_MOD_PATH="$stage/modules" modules_install
    rm -f "$stage/modules/lib/modules/$release/build" "$stage/modules/lib/modules/$release/source"
    ln -s "/usr/src/linux-headers-$release" "$stage/modules/lib/modules/$release/build"
    archive "$KERNEL_OUTPUT/kernel.tar" "$stage/modules" lib
    (cd "$stage/modules" && find lib -name '*.ko' -type f | sort | xargs -r sha256sum) >"$KERNEL_OUTPUT/kernel-modules.sha256"
    cp "$tree/$image" "$KERNEL_OUTPUT/kernel"
    cp "$tree/System.map" "$KERNEL_OUTPUT/System.map"
    cp "$tree/.config" "$KERNEL_OUTPUT/kernel-config"
    cp "$tree/certs/trusted.pem" "$KERNEL_OUTPUT/kernel-certificate.pem"
    cp "$stage/certificate.der" "$KERNEL_OUTPUT/kernel-certificate.der"
    if [ "$KERNEL_DEBUG" = 1 ]; then cp "$tree/vmlinux" "$KERNEL_OUTPUT/vmlinux"; fi
    {
        echo "KERNEL_SOURCE=$KERNEL_SOURCE_INFO"
        echo "KERNEL_VERSION=$KERNEL_VERSION"
        echo "KERNEL_RELEASE=$release"
        cat "$KERNEL_WORK/patches"
    } >"$KERNEL_OUTPUT/kernel-source-info"
}

pack_headers() {
    step 6 "pack headers"
    kmake -s -j"$KERNEL_JOBS" INSTALL_HDR_PATH="$stage/headers/usr" headers_install
    find "$stage/headers" -name '.*' -type f -delete
    archive "$KERNEL_OUTPUT/kernel-headers.tar" "$stage/headers" usr
}

# What Kbuild reads for a module outside the tree, and no more: no objects, no dependency files with paths in them.
pack_development() {
    step 7 "pack the development files"
    development=usr/src/linux-headers-$release
    mkdir -p "$stage/development/$development"
    (
        cd "$tree"
        {
            for file in .config Module.symvers Makefile Kbuild "arch/$srcarch/Makefile" tools/objtool/objtool \
                "arch/$srcarch/kernel/module.lds" "arch/$srcarch/kernel/macros.s"; do
                [ ! -f "$file" ] || echo "$file"
            done
            find "arch/$srcarch" -maxdepth 1 -name 'Makefile*' -type f
            find include "arch/$srcarch/include" \( -type f -o -type l \)
            find scripts -path scripts/kconfig -prune -o -path scripts/package -prune -o -path scripts/dtc -prune \
                -o -path scripts/coccinelle -prune -o -path scripts/gdb -prune -o \( -type f -o -type l \) -print
        } | grep -vE '\.(cmd|o|a|d|pyc)$|(^|/)\.gitignore$|^include/config/.*\.h$' | sort -u |
            tar -cf - -T - | tar -xf - -C "$stage/development/$development"
    )
    # The stamps of single symbols only tell Kbuild what to rebuild in the tree itself.
    (cd "$stage/development/$development/include/config" && find . -type f ! -name auto.conf ! -name kernel.release -delete)
    find "$stage/development" -type d -empty -delete
    # Programs of the build platform; their debug information, and the build id over it, name this directory.
    find "$stage/development" -type f -perm -u+x -size -20M | while read -r file; do
        if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then strip --strip-all -R .note.gnu.build-id "$file"; fi
    done
    if grep -rl --binary-files=without-match 'PRIVATE KEY-----' "$stage/development" | grep -v '\.[chS]$'; then
        die "a private key would reach kernel-dev.tar"
    fi
    archive "$KERNEL_OUTPUT/kernel-dev.tar" "$stage/development" usr
}

unpack
apply_patches
select_compiler
install_certificate
configure
compile
pack_kernel
pack_headers
pack_development
find "$KERNEL_OUTPUT" -type f -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
echo "==> $release: $(wc -l <"$KERNEL_OUTPUT/kernel-modules.sha256") modules"
