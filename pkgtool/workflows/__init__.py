"""The use cases, one a module. Only here are stores, engines and clients constructed and tied together."""
