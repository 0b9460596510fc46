"""What runs a Dockerfile: Docker with BuildKit, or buildah without any daemon. Capabilities are found, not assumed."""
