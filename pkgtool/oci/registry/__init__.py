"""Registries: a client of the OCI distribution-spec 1.1, copying between repositories, and the rules of publishing.

address, settings          where a registry is, and how it is spoken to
connections … transport    HTTP: limits, trust, credentials, tokens, redirects, retries, errors
manifests, blobs, upload, referrers    the endpoints of the specification
repository                 `Registry` and its repositories: the protocol of `pkgtool.oci.repository`
transfer                   copying images with what belongs to them between any two repositories
publish, point             the rules: a published tag is immutable, platforms merge, tags come last
"""
