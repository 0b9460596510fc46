"""What a package takes from outside the tree: asked for in build.yml, pinned in inputs.lock, fetched by hash."""
