"""Locked inputs as files of a build context, below `inputs/`:

    inputs/debian/          a flat apt repository: `deb [trusted=yes] copy:/…/inputs/debian ./`
    inputs/files/NAME       files from URLs
    inputs/git/NAME/…       the files of a commit
    inputs/go/…             a module proxy: `GOPROXY=file:///…/inputs/go`

What lies there is determined by the lock and the architectures alone: modes are 644 and 755 whatever the umask,
times are SOURCE_DATE_EPOCH, indices are made here.

Every file is a copy of its own, by reflink where the file system can. Hard links into the store were refused:
a build step that writes to its context, or only sets a time or a mode, would change what other builds get. The
copy also makes checking exact: what is hashed are the bytes the build will see.
"""

from pkgtool.inputs.stage.stage import Staging, artifacts_of, stage

__all__ = ["Staging", "artifacts_of", "stage"]
