"""The files that people write: YAML with positions → schema → model. Every problem of a run is collected."""
