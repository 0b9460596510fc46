"""OCI images: documents, canonical layers, the local store and registries."""
