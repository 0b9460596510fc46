"""The two formats that signatures and attestations are kept in beside an image."""
