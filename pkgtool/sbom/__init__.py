"""Software bills of materials, from what is really in an image.

    files of the image → `take_inventory` → `Inventory` → `spdx.document`, `cyclonedx.document`

The two formats are written here and not by a library: both are plain JSON, and what other tools make of a root
file system knows neither images without a package database nor Go modules nor kernels (docs/signing.md says more).
The same image always gives the same bytes.
"""
